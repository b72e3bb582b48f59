"""dashboard/static/views/traces.js: search, and what the address says of it."""

import pytest
from playwright.sync_api import Page, expect

import chromium


def names(page: Page) -> list[str]:
    return page.locator("a.row .name b").all_inner_texts()


def wait_for(page: Page, expected: set[str]) -> None:
    chromium.eventually(lambda: set(names(page)) == expected or None, f"traces {expected}")


def wait_for_several(page: Page) -> None:
    chromium.eventually(lambda: len(names(page)) > 1 or None, "several traces")


def test_a_search_finds_traces_by_the_name_of_any_span_in_them(look: chromium.Looking) -> None:
    page = look.at("traces")
    page.get_by_label("Name of a span").fill("member")
    wait_for(page, {"task crowd"})
    assert "name=member" in page.url


def test_failed_and_blocked_are_searched_for_by_a_press(look: chromium.Looking) -> None:
    page = look.at("traces")
    page.get_by_role("button", name="failed").click()
    wait_for(page, {"task day"})
    page.get_by_role("button", name="blocked").click()
    wait_for(page, {"task day"})
    assert "error=1" in page.url
    assert "blocked=1" in page.url
    page.get_by_role("button", name="Clear").click()
    wait_for_several(page)
    assert "error" not in page.url


def test_durations_are_asked_for_in_milliseconds(look: chromium.Looking) -> None:
    day = look.dashboard.ask("traces", service="shop", name="report")["traces"][0]
    page = look.at("traces?service=shop")
    page.get_by_role("spinbutton", name="min ms").fill(str(day["duration"] * 990))
    wait_for(page, {"task day"})
    page.get_by_role("spinbutton", name="min ms").fill("")
    page.get_by_role("spinbutton", name="max ms").fill("1000000")
    wait_for_several(page)


def test_an_address_gives_the_same_search_to_somebody_else(look: chromium.Looking) -> None:
    page = look.at("traces?service=shop&name=report&min=100&blocked=1&order=longest")
    wait_for(page, {"task day"})
    expect(page.get_by_label("Service")).to_have_value("shop")
    expect(page.get_by_role("spinbutton", name="min ms")).to_have_value("100")
    expect(page.get_by_role("button", name="blocked")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="longest")).to_have_attribute("aria-pressed", "true")


def test_a_search_that_finds_nothing_says_what_to_do(look: chromium.Looking) -> None:
    page = look.at("traces?name=there-is-no-such-span")
    expect(page.get_by_role("heading", name="No trace fits")).to_be_visible()


def test_a_row_says_what_the_server_says(look: chromium.Looking) -> None:
    trace = next(
        one
        for one in look.dashboard.ask("traces", service="shop")["traces"]
        if one["name"] == "task day"
    )
    page = look.at("traces?service=shop&name=report")
    row = page.locator("a.row").first
    expect(row).to_contain_text(f"{trace['spans']} spans")
    expect(row.locator(".tag.error")).to_be_visible()
    expect(row.locator(".tag.block").first).to_contain_text("blocked")
    shown = row.locator(".split i")
    widths = shown.evaluate_all(
        "all => all.map(one => [one.className, one.getBoundingClientRect().width])"
    )
    whole = sum(width for _, width in widths)
    for part, width in widths:
        assert width / whole == pytest.approx(
            trace[part] / (trace["run"] + trace["ready"] + trace["wait"]), abs=0.02
        )


def test_the_picture_opens_the_trace_that_is_pointed_at(look: chromium.Looking) -> None:
    page = look.at("traces?min=100")
    page.wait_for_selector("a.row")
    page.goto(f"{look.dashboard.url}/#/traces?service=shop")
    wait_for_several(page)
    box = page.locator(".scatter canvas").bounding_box()
    assert box is not None
    for y in range(4, 100, 6):
        for x in range(56, int(box["width"]) - 4, 12):
            page.mouse.move(box["x"] + x, box["y"] + y)
            if page.locator(".hint").is_visible():
                hint = page.locator(".hint").inner_text()
                page.mouse.click(box["x"] + x, box["y"] + y)
                expect(page.get_by_role("heading", level=1)).to_have_text(hint.split(" · ")[0])
                return
    pytest.fail("no point to be found")


def test_arrows_go_through_the_list_and_enter_opens(look: chromium.Looking) -> None:
    page = look.at("traces?service=shop")
    wait_for_several(page)
    page.keyboard.press("ArrowDown")
    expect(page.locator("a.row").nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator("a.row").nth(1)).to_be_focused()
    name = names(page)[1]
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
