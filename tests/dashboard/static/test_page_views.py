"""The views Now, Blockers, Leaks and Flow, and what all views have in common."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

import chromium

VIEWS = {
    "now": ".chart:not([hidden])",
    "traces": "a.row",
    "trace": ".line",
    "blockers": "tbody tr",
    "leaks": "tbody tr",
    "flow": ".box",
}
"""And what is there once a view is drawn."""


def address(look: chromium.Looking, view: str) -> str:
    return f"trace/{look.dashboard.trace('task day')}" if view == "trace" else view


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.usefixtures("idler")
def test_a_view_has_no_serious_fault_of_accessibility(
    look: chromium.Looking, view: str, colours: str
) -> None:
    page = look.at(address(look, view), colours=colours)
    for size in (chromium.WIDE, chromium.NARROW):
        page.set_viewport_size(size)
        page.wait_for_selector(VIEWS[view])
        found = Axe().run(page).response["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert [(one["id"], one["nodes"][0]["html"]) for one in serious] == []


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.usefixtures("idler")
def test_a_view_fits_a_telephone(look: chromium.Looking, view: str) -> None:
    page = look.at(address(look, view), chromium.NARROW)
    page.wait_for_selector(VIEWS[view])
    assert page.evaluate("document.documentElement.scrollWidth") == chromium.NARROW["width"]
    links = page.get_by_role("navigation").get_by_role("link")
    for link in links.all():
        expect(link).to_be_in_viewport()
    links.filter(has_text="Blockers").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Blockers")


@pytest.mark.usefixtures("idler")
def test_now_draws_the_metrics_of_a_process_and_says_their_latest_values(
    look: chromium.Looking,
) -> None:
    page = look.at("now?service=idler")
    chart = page.locator("figure", has_text="Active resources")
    expect(chart.locator(".legend li", has_text="Task")).to_contain_text("2")
    said = chart.get_by_role("img").get_attribute("aria-label")
    assert said is not None
    assert "Task 2" in said
    drawn = chart.locator("canvas").evaluate(
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)"
        ".data.filter((value, index) => index % 4 === 3 && value > 0).length"
    )
    assert drawn > 100, "something is drawn"


@pytest.mark.usefixtures("idler")
def test_now_lists_what_is_open_where_it_is_and_what_made_it(look: chromium.Looking) -> None:
    page = look.at("now?service=idler")
    page.get_by_label("Filter what is open").fill("consume")
    row = page.locator(".live tbody tr").first
    expect(row).to_contain_text("task consume")
    expect(row).to_contain_text("waiting")
    row.get_by_role("button").click()
    more = page.locator("tr.more")
    expect(more.get_by_label("Stack")).to_contain_text("consume")
    expect(more.locator(".chain")).to_contain_text("task main")


@pytest.mark.usefixtures("idler")
def test_now_says_what_keeps_a_process_alive(look: chromium.Looking) -> None:
    page = look.at("now?service=idler")
    page.get_by_role("button", name="What keeps it alive?").click()
    expect(page.get_by_label("What keeps it alive", exact=True)).to_contain_text("idler.py")


def test_what_has_ended_says_that_nobody_can_be_asked(look: chromium.Looking) -> None:
    page = look.at("now?service=crowd")
    expect(page.locator(".absent")).to_contain_text("Nobody to ask")


def test_a_trace_shows_up_by_itself_unless_updates_are_paused(
    look: chromium.Looking, idler: "subprocess.Popen[str]"
) -> None:
    assert idler.stdin is not None
    page = look.at("traces?service=idler&name=fresh")
    page.wait_for_selector(".empty, a.row")
    spans = spans_of_fresh(look)
    idler.stdin.write("\n")
    idler.stdin.flush()
    chromium.eventually(lambda: spans_of_fresh(look) > spans or None, "a task fresh")
    expect(page.locator("a.row")).not_to_have_count(0)
    page.keyboard.press("p")
    expect(page.locator(".pulse")).to_have_attribute("data-state", "paused")
    text = page.locator("a.row .spans").first.inner_text()
    spans = spans_of_fresh(look)
    idler.stdin.write("\n")
    idler.stdin.flush()
    chromium.eventually(lambda: spans_of_fresh(look) > spans or None, "another task fresh")
    assert page.locator("a.row .spans").first.inner_text() == text
    page.keyboard.press("p")
    expect(page.locator("a.row .spans").first).not_to_have_text(text)


def spans_of_fresh(look: chromium.Looking) -> int:
    found = look.dashboard.ask("traces", service="idler", name="fresh")["traces"]
    return sum(trace["spans"] for trace in found)


def test_blockers_name_the_line_with_stack_and_lead_to_the_trace(look: chromium.Looking) -> None:
    page = look.at("blockers?service=shop")
    row = page.locator("tbody tr").first
    expect(row).to_contain_text("shop.py")
    expect(row).to_contain_text("typeset")
    row.get_by_role("button").click()
    expect(page.get_by_label("Stack")).to_contain_text("typeset")
    page.get_by_role("link", name="Show the longest one in its trace").click()
    expect(page.get_by_role("complementary", name="Span")).to_contain_text("Held the loop")


def test_tables_are_sorted_by_a_press_on_a_head(look: chromium.Looking) -> None:
    page = look.at("blockers")
    page.wait_for_selector("tbody tr")
    head = page.get_by_role("columnheader", name="Longest")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")


def test_leaks_name_the_line_that_made_them(look: chromium.Looking) -> None:
    page = look.at("leaks?service=shop")
    row = page.locator("tbody tr", has_text="task forgotten")
    expect(row).to_contain_text("shop.py")
    row.get_by_role("link", name="trace").click()
    expect(page.get_by_role("complementary", name="Span")).to_contain_text("collected")


def flow_of(look: chromium.Looking) -> dict[str, Any]:
    return dict(look.dashboard.ask("flow", service="shop"))


def test_flow_draws_what_triggers_what(look: chromium.Looking) -> None:
    flow = flow_of(look)
    page = look.at("flow?service=shop")
    page.wait_for_selector(".box")
    joined = {end for edge in flow["edges"] for end in (edge["from"], edge["to"])}
    expect(page.locator(".box")).to_have_count(len(joined))
    expect(page.locator("g.edge")).to_have_count(
        sum(edge["from"] != edge["to"] for edge in flow["edges"])
    )
    boxes = page.locator(".box rect.face").evaluate_all(
        "all => all.map(one => { const {left, top, right, bottom} = one.getBoundingClientRect();"
        " return [left, top, right, bottom]; })"
    )
    for index, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart = other[0] >= right or other[2] <= left or other[1] >= bottom or other[3] <= top
            assert apart, "no box lies on another"


def test_a_box_of_the_flow_tells_causes_and_effects(look: chromium.Looking) -> None:
    page = look.at("flow?service=shop")
    box = page.get_by_role("button", name="task report").first
    box.focus()
    page.keyboard.press("Enter")
    about = page.get_by_label("The chosen box")
    expect(about).to_contain_text("Triggered by")
    expect(about.get_by_role("link", name="task day").first).to_be_visible()
    about.get_by_role("link", name="Its traces").click()
    expect(page.get_by_label("Name of a span")).to_have_value("task report")


def test_the_flow_is_a_table_as_well(look: chromium.Looking) -> None:
    page = look.at("flow?service=shop")
    page.wait_for_selector(".box")
    page.keyboard.press("g")
    expect(page.locator("tbody tr")).to_have_count(len(flow_of(look)["edges"]))


def test_digits_go_to_the_views_and_a_question_mark_lists_the_keys(look: chromium.Looking) -> None:
    page = look.at("now")
    for digit, title in (("3", "Blockers"), ("4", "Leaks"), ("5", "Flow"), ("2", "Traces")):
        page.keyboard.press(digit)
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_contain_text("pause live updates")
    page.keyboard.press("?")
    expect(keys).to_be_hidden()


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))


def test_dark_and_light_follow_the_system_until_they_are_chosen(look: chromium.Looking) -> None:
    light, dark = look.at("traces"), look.at("traces", colours="dark")
    light_paper, dark_paper = background(light), background(dark)
    assert light_paper != dark_paper
    light.get_by_role("button", name="Dark or light").click()
    assert background(light) == dark_paper
    light.reload()
    assert background(light) == dark_paper, "it is remembered"


def test_an_address_that_is_none_leads_to_now(look: chromium.Looking) -> None:
    page = look.at("nonsense/x?y=%zz")
    page.wait_for_url("**/#/now*")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.RunningDashboard]:
    """A dashboard that has received nothing, and never does."""
    running = chromium.RunningDashboard(tmp_path_factory.mktemp("bare"))
    yield running
    running.stop()


@pytest.fixture
def leaving(tmp_path: Path) -> Iterator[chromium.RunningDashboard]:
    """A dashboard that may be ended."""
    running = chromium.RunningDashboard(tmp_path)
    yield running
    running.stop()


@pytest.mark.parametrize(
    ("view", "title"),
    [
        ("now", "Nothing has been received yet"),
        ("traces", "No traces yet"),
        ("blockers", "No blockers"),
        ("leaks", "No leaks"),
        ("flow", "Nothing flows yet"),
    ],
)
def test_a_view_that_has_nothing_to_show_says_what_to_do(
    bare: chromium.RunningDashboard, browser: Any, view: str, title: str
) -> None:
    looking = chromium.Looking(browser, bare)
    page = looking.at(view)
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    looking.close()
    assert looking.wrong == []


def test_a_server_that_is_away_is_missed(leaving: chromium.RunningDashboard, browser: Any) -> None:
    looking = chromium.Looking(browser, leaving)
    page = looking.at("traces")
    expect(page.locator(".pulse")).to_have_attribute("data-state", "live")
    leaving.stop()
    expect(page.locator(".pulse")).to_have_attribute("data-state", "lost")
    page.keyboard.press("3")
    expect(page.locator("#notice")).to_contain_text("does not answer")
    looking.close()
