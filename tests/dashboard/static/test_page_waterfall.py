"""dashboard/static/waterfall/: what is drawn of a trace, and how one moves in it."""

import re
import time
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

import chromium


def opened(look: chromium.Looking, name: str, **how: Any) -> tuple[Page, dict[str, Any]]:
    """The page of the latest trace of this name, and what the server says of it."""
    trace_id = look.dashboard.trace(name)
    page = look.at(f"trace/{trace_id}", **how)
    page.wait_for_selector(".line")
    trace: dict[str, Any] = look.dashboard.ask(f"traces/{trace_id}")
    return page, trace


def line_of(page: Page, span: dict[str, Any]) -> Locator:
    return page.locator(f"#span-{span['span_id']}")


def place_of(mark: Locator, page: Page) -> tuple[float, float]:
    """Where it begins and how wide it is, as parts of the trace."""
    box = mark.bounding_box()
    whole = page.locator(".line .when").first.bounding_box()
    assert box is not None
    assert whole is not None
    return (box["x"] - whole["x"]) / whole["width"], box["width"] / whole["width"]


def one(trace: dict[str, Any], name: str, **having: bool) -> dict[str, Any]:
    """The first span of this name of which these hold."""
    for span in trace["spans"]:
        if span["name"] == name and all(bool(span[key]) is yes for key, yes in having.items()):
            return dict(span)
    raise AssertionError(f"no {name} with {having}")


def test_every_span_has_a_line_below_its_parents(look: chromium.Looking) -> None:
    page, trace = opened(look, "task day")
    depth = {span["span_id"]: 1 for span in trace["spans"]}
    for span in trace["spans"]:
        depth[span["span_id"]] = depth.get(span["parent_id"], 0) + 1
    shown = page.locator(".line").evaluate_all(
        "all => all.map(one => [one.dataset.id, Number(one.getAttribute('aria-level'))])"
    )
    assert dict(shown) == depth


def test_a_bar_stands_where_its_span_was_and_divides_as_its_time_did(
    look: chromium.Looking,
) -> None:
    page, trace = opened(look, "task day")
    span = one(trace, "task report", blocked=True)
    bar = line_of(page, span).locator(".time")
    left, width = place_of(bar, page)
    assert left == pytest.approx(span["start"] / trace["duration"], abs=0.01)
    assert width == pytest.approx(span["duration"] / trace["duration"], abs=0.01)
    for part in bar.locator("i").all():
        name = part.get_attribute("class") or ""
        share = span[name] / trace["duration"]
        assert place_of(part, page)[1] == pytest.approx(share, abs=0.01)


def test_a_blocker_is_marked_where_it_held_the_loop_and_shows_its_stack(
    look: chromium.Looking,
) -> None:
    page, trace = opened(look, "task day")
    span = one(trace, "task report", blocked=True)
    line = line_of(page, span)
    expect(line.locator(".blocker")).to_contain_text("blocked")
    block = next(event for event in span["events"] if event["name"] == "whence.blocked")
    left, width = place_of(line.locator(".held"), page)
    assert left == pytest.approx(block["time"] / trace["duration"], abs=0.01)
    held = block["attributes"]["whence.blocked.time"]
    assert width == pytest.approx(held / trace["duration"], abs=0.01)
    line.click()
    detail = page.get_by_role("complementary", name="Span")
    expect(detail.get_by_label("Stack while it blocked")).to_contain_text("typeset")
    expect(detail).to_contain_text("Held the loop for")


def test_who_was_delayed_is_marked_and_leads_to_the_blocker(look: chromium.Looking) -> None:
    page, trace = opened(look, "task day")
    span = next(one for one in trace["spans"] if one["delayed"] and one["delayed"]["span"])
    line = line_of(page, span)
    page.locator("#spans").evaluate("rows => rows.scrollTo(0, 0)")
    expect(line).to_contain_text("delayed")
    line.click()
    target = span["delayed"]["span"]["span_id"]
    page.keyboard.press("Enter")
    expect(page.locator(f"#span-{target}")).to_have_attribute("aria-selected", "true")
    expect(line).to_have_class(re.compile("related"))


def test_links_lead_to_the_other_trace_and_back(look: chromium.Looking) -> None:
    page, trace = opened(look, "timer tick")
    linked = next(span for span in trace["spans"] if span["links"])
    assert linked["links"][0]["known"], "what it was triggered by is in the same dashboard"
    line_of(page, linked).click()
    first = page.url
    page.get_by_role("complementary", name="Span").locator(".links a").first.click()
    target = linked["links"][0]
    page.wait_for_url(f"**/#/trace/{target['trace_id']}?span={target['span_id']}*")
    expect(page.locator(f"#span-{target['span_id']}")).to_have_attribute("aria-selected", "true")
    page.go_back()
    page.wait_for_url(first)


def test_the_failed_say_so_with_their_message(look: chromium.Looking) -> None:
    page, trace = opened(look, "task day")
    failed = one(trace, "task pay")
    assert failed["status"] == "error"
    expect(line_of(page, failed).locator(".time")).to_have_class(re.compile("failed"))
    page.keyboard.press("e")
    expect(page.get_by_role("complementary", name="Span")).to_contain_text("the bank is closed")


def test_arrows_move_fold_and_unfold(look: chromium.Looking) -> None:
    page, trace = opened(look, "task crowd")
    page.keyboard.press("ArrowDown")
    root = page.locator(".line").first
    expect(root).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowLeft")
    expect(root).to_have_attribute("aria-expanded", "false")
    expect(page.locator(".line")).to_have_count(1)
    expect(root).to_contain_text(f"+{len(trace['spans']) - 1}")
    page.keyboard.press("ArrowRight")
    expect(root).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".line").nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("complementary", name="Span")).to_have_count(0)


def test_keys_and_dragging_zoom_and_the_address_says_so(look: chromium.Looking) -> None:
    page, trace = opened(look, "task day")
    first = page.locator(".axis span").nth(1).inner_text()
    page.keyboard.press("+")
    page.wait_for_url("**from=*to=*")
    assert page.locator(".axis span").nth(1).inner_text() != first
    page.keyboard.press("0")
    expect(page.locator(".axis span").nth(1)).to_have_text(first)
    box = page.locator(".overview").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20, steps=4)
    page.mouse.up()
    page.wait_for_url("**from=*to=*")
    found = re.search(r"from=([\d.e-]+)&to=([\d.e-]+)", page.url)
    assert found is not None
    assert float(found[1]) == pytest.approx(trace["duration"] / 4, rel=0.05)
    assert float(found[2]) == pytest.approx(trace["duration"] / 2, rel=0.05)


def test_spans_are_found_in_their_trace(look: chromium.Looking) -> None:
    page, trace = opened(look, "task day")
    page.keyboard.press("/")
    page.keyboard.type("report")
    expected = sum("report" in span["name"] for span in trace["spans"])
    expect(page.locator(".head p")).to_contain_text(f"{expected} found")
    faint = page.locator(".line.faint")
    expect(faint).not_to_have_count(0)
    assert not any("report" in text for text in faint.locator(".name").all_inner_texts())


def test_two_thousand_spans_can_be_used_within_a_second(look: chromium.Looking) -> None:
    page, trace = opened(look, "task crowd")
    assert len(trace["spans"]) > 2000
    page.goto(f"{look.dashboard.url}/#/traces?name=member")
    row = page.locator("a.row", has_text="task crowd").first
    row.wait_for()
    seconds = chromium.Work(page, look.dashboard)
    row.click()
    page.wait_for_selector(".line")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector(".line.selected")
    assert seconds.done() < 1.0
    assert page.locator(".line").count() < 150, "only what is in sight exists"


def test_scrolling_shows_the_last_of_thousands(look: chromium.Looking) -> None:
    page, trace = opened(look, "task crowd")
    rows = page.locator("#spans")
    rows.evaluate("rows => rows.scrollTo(0, rows.scrollHeight)")
    shown = page.locator(".line").last
    whole = rows.evaluate("rows => rows.querySelector('.space').offsetHeight / 28")
    assert whole == len(trace["spans"])
    expect(shown).to_be_in_viewport()
    shown.click()
    expect(page.get_by_role("complementary", name="Span")).to_be_visible()


def test_a_trace_that_is_gone_says_so(look: chromium.Looking) -> None:
    look.excused = "status of 404"
    page = look.at(f"trace/{'0' * 31}1")
    expect(page.get_by_role("heading", name="This trace is not here")).to_be_visible()


def test_names_are_text_whoever_sends_them(look: chromium.Looking) -> None:
    name = "<img src=x onerror=document.title='taken'>"
    look.dashboard.send(foreign(name, "a1" * 16))
    page = look.at(f"traces?name={'onerror'}")
    page.locator("a.row", has_text=name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    page.locator(".line").click()
    expect(page.get_by_role("complementary", name="Span")).to_contain_text(name)
    assert page.title() != "taken"
    assert page.locator("main img").count() == 0


def test_a_span_that_is_its_own_ancestor_is_shown(look: chromium.Looking) -> None:
    look.dashboard.send(foreign("ring", "b2" * 16, parents={1: 2, 2: 1, 3: 3}))
    page, _ = opened(look, "ring")
    expect(page.locator(".line")).to_have_count(3)


def foreign(name: str, trace_id: str, parents: dict[int, int] | None = None) -> dict[str, Any]:
    """Spans of a program that knows no whence."""
    now = time.time_ns()
    spans = [
        {
            "traceId": trace_id,
            "spanId": f"{span_id:016x}",
            "parentSpanId": f"{parent:016x}" if parent else "",
            "name": name,
            "startTimeUnixNano": str(now),
            "endTimeUnixNano": str(now + 5_000_000),
        }
        for span_id, parent in (parents or {1: 0}).items()
    ]
    service = {"key": "service.name", "value": {"stringValue": "stranger"}}
    scope = {"scope": {"name": "by-hand"}, "spans": spans}
    return {"resourceSpans": [{"resource": {"attributes": [service]}, "scopeSpans": [scope]}]}
