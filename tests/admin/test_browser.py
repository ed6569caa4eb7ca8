"""The admin in a browser: the walks an operator takes, under a strict policy, and what a checker of accessibility says.

``SCREENSHOTS=docs/admin python -m pytest tests/admin/test_browser.py -k screenshots`` makes the pictures in the
documentation anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.db import connection
from playwright.sync_api import BrowserContext, Locator, Page, expect

from chronos_storage.backends.orm import OrmBackend
from chronos_storage.facade import Storage
from chronos_storage.ledger import triggers
from chronos_storage.records import Event, Message, Session, Trace
from tests.admin.browsing import browser, log_in, needs_browser, strict_site, watched  # noqa: F401
from tests.admin.every_page import a_whole_night, every_page
from tests.admin.night import BAD, USER
from tests.admin.pages import url

#: Sessions besides the one that went wrong: as many as lists need, and in pictures more.
OTHERS = 40 if "SCREENSHOTS" in os.environ else 8
#: Pixels that a window is wide: a screen's and a telephone's.
WIDTHS = (390, 1400)
#: Into how many tests all pages are cut.
PARTS = 3
pytestmark = [
    needs_browser,
    pytest.mark.django_db(transaction=True, databases=["default"]),
]


@pytest.fixture
def night(settings) -> Any:
    settings.ALLOWED_HOSTS = ["localhost"]
    User.objects.create_superuser("operator", password="at three")
    storage = Storage(OrmBackend(using="default"))
    a_whole_night(storage, others=OTHERS)
    return storage


@pytest.fixture
def page(context: BrowserContext, night) -> Iterator[Page]:
    """A page of somebody who logged in; whatever the console complains of fails the test."""
    log_in(context, "operator")
    with watched(context) as opened:
        yield opened


def open_bad_session(page: Page) -> None:
    page.goto(url("session"))
    page.get_by_text("By id, agent, user, container and image").click()
    page.get_by_label("User", exact=True).fill(USER)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Refund for order W-2217").click()
    expect(page.get_by_role("heading", name="Session: Refund for order W-2217")).to_be_visible()


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name="About this session").get_by_role("link", name=name)


def test_logging_in(context: BrowserContext, night) -> None:
    with watched(context) as page:
        page.goto("/admin/")
        page.get_by_label("Username").fill("operator")
        page.get_by_label("Password").fill("at three")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Site administration")).to_be_visible()


def test_from_the_list_to_a_tool_calls_result(page: Page) -> None:
    open_bad_session(page)
    call = page.locator("li.chronos-message").filter(has_text="call-2").locator(".chronos-call")
    expect(call.locator("pre").last).to_contain_text("above the order's total of 59.90")
    call.get_by_role("link", name="Result: message 6").click()
    result = page.get_by_role("region", name="What it says")
    result.get_by_role("link", name="Result of the call in message 5").click()
    expect(page.locator("li.chronos-message.chronos-at")).to_contain_text("call-2")


def test_two_checkpoints_are_compared(page: Page) -> None:
    open_bad_session(page)
    tab(page, "Checkpoints").click()
    page.get_by_role("radio", name="compare from 1").check()
    page.get_by_role("radio", name="compare to 3").check()
    page.get_by_role("button", name="Compare").click()
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="refund", exact=True))
    expect(row).to_contain_text("5990")
    expect(row).to_contain_text("changed")


def test_what_is_inside_of_a_span_is_folded_away(page: Page) -> None:
    open_bad_session(page)
    tab(page, "Spans").click()
    rows = page.locator(".chronos-waterfall tbody tr:visible")
    expect(rows).to_have_count(8)
    page.get_by_role("button", name="Inside of act").click()
    expect(rows).to_have_count(6)
    page.get_by_role("button", name="Inside of answer the user").click()
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Inside of answer the user").click()
    expect(rows).to_have_count(6)  # what was folded stays folded


def test_the_waterfall_has_its_bars_on_a_narrow_screen(page: Page) -> None:
    open_bad_session(page)
    tab(page, "Spans").click()
    page.set_viewport_size({"width": 390, "height": 844})
    failing = page.get_by_role("row").filter(has_text="ValueError")
    width, height = failing.evaluate("row => [row.querySelector('svg').clientWidth, row.clientHeight]")
    assert width > 250
    assert height < 200
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_fork_is_made_only_after_a_question(page: Page, night) -> None:
    open_bad_session(page)
    tab(page, "Checkpoints").click()
    before = len(night.list_sessions(limit=None))
    page.get_by_role("row").filter(has_text="plan").get_by_role("link", name="Fork from here").click()
    assert len(night.list_sessions(limit=None)) == before
    page.get_by_role("button", name="Fork from here").click()
    expect(page.locator("ul.messagelist")).to_contain_text("starts from checkpoint 1")
    [fork, _] = [session for session in night.list_sessions(limit=None) if "forked_from" in session.metadata]
    assert fork.metadata["forked_from"]["checkpoint_id"] == "checkpoint-1"


def test_the_first_broken_row_is_found(page: Page) -> None:
    open_bad_session(page)
    expect(page.locator(".chronos-header").get_by_role("link", name="Intact")).to_be_visible()
    tab(page, "Chain verdict").click()
    expect(page.locator(".chronos-verdict").first).to_contain_text("Intact")
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'chronos_storage_event'")
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {name}")
        cursor.execute("UPDATE chronos_storage_event SET payload = '{}' WHERE event_id IN ('event-5', 'event-7')")
    triggers.install("default")
    page.reload()
    events = page.locator(".chronos-verdict").first
    expect(events).to_contain_text("Broken")
    expect(page.locator(".chronos-header").get_by_role("link", name="Broken")).to_be_visible()
    expect(events).to_contain_text("number 5")
    events.get_by_role("link", name="Its place in the timeline").click()
    expect(page.locator("li.chronos-at")).to_contain_text("event 5")


def test_the_audit_log_is_filtered_and_exported(page: Page) -> None:
    page.goto(url("auditlog"))
    page.get_by_label("Action", exact=True).fill("tool.")
    page.locator("input[name=prefix][value=action]").check()
    page.get_by_label("User", exact=True).fill(USER)
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as JSON lines").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert [json.loads(line)["resource"] for line in lines] == ["tool:refund", "tool:find_order"]
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    assert len(Path(download.value.path()).read_text().splitlines()) == 3


def test_long_content_is_loaded_when_it_is_opened(page: Page, night) -> None:
    night.append_event(Event(session_id=BAD, payload={"text": "long " * 100_000 + "end of it"}))
    open_bad_session(page)
    step = page.locator("li.chronos-message").last
    step.locator("summary").first.click()
    item = step.locator("li.chronos-event").last
    item.locator("summary").first.click()
    expect(item).not_to_contain_text("end of it")
    item.locator(".chronos-body summary").first.click()
    expect(item.locator("pre").first).to_contain_text("end of it")


def test_a_long_message_is_read_on_a_page_of_its_own(page: Page, night) -> None:
    night.add_message(Message(session_id=BAD, role="user", content="**long** " * 5_000 + "end of it"))
    open_bad_session(page)
    item = page.locator("li.chronos-message").last
    expect(item).not_to_contain_text("end of it")
    item.get_by_role("link", name="Read on").click()
    expect(page.get_by_role("region", name="What it says")).to_contain_text("end of it")


def test_a_session_that_goes_on_refreshes_itself(page: Page, night) -> None:
    """Until it ends; the reader's place, what is open and what is selected stay."""
    night.create_session(Session(id="on", status="running"))
    for number in range(40):
        night.add_message(Message(session_id="on", role="user", content=f"Question {number}"))
        night.append_event(Event(session_id="on", type="asked", payload={"number": number}))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/live/" in request.url else None)
    page.goto(url("session", "change", "on"))
    entries = page.locator("ol.chronos-timeline").first.locator("> li")
    expect(entries).to_have_count(40)
    entries.nth(30).locator("summary").first.click()
    entries.nth(30).locator(".chronos-item summary").first.click()
    entries.nth(25).scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    night.add_message(Message(session_id="on", role="assistant", content="**The newest** answer"))
    night.append_event(Event(session_id="on", type="answered"))
    expect(entries.last.locator("strong")).to_have_text("The newest", timeout=20_000)
    expect(entries.nth(30).locator(".chronos-body")).to_be_visible()
    assert page.evaluate("scrollY") == before
    expect(page.locator(".chronos-header")).to_contain_text("41")
    control = page.get_by_label("refreshes itself while the session goes on")
    expect(control).to_be_checked()
    night.insert_trace(Trace(session_id="on", name="late", status="error"))
    expect(entries.last.locator(".chronos-span")).to_contain_text("late", timeout=20_000)
    night.patch_session("on", status="completed")
    expect(control).to_be_disabled(timeout=30_000)
    expect(page.locator(".chronos-header")).to_contain_text("completed")
    count = len(asked)
    assert count < 20
    page.wait_for_timeout(6_000)
    assert len(asked) == count


def test_an_image_is_shown_and_a_file_is_kept(page: Page) -> None:
    open_bad_session(page)
    tab(page, "Artifacts").click()
    page.get_by_role("link", name="receipt", exact=True).click()
    image = page.get_by_role("img", name="receipt.png")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 240
    page.goto(url("artifact", "change", "log"))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "refund.log"
    assert Path(download.value.path()).read_text().startswith("amount 5990 is above")


#: Not its style sheets, which it would copy into the page, against the policy, for no rule that is on.
_AXE: dict[str, Any] = {"resultTypes": ["violations"], "preload": {"assets": ["media"]}}


def faults(page: Page, options: dict[str, Any] | None = None) -> list[Any]:
    """What is seriously wrong with the page, all of it unfolded."""
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    return [
        (fault["id"], [node["html"] for node in fault["nodes"]][:3])
        for fault in Axe().run(page, options=_AXE | (options or {})).response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]


#: How much wider the page is than the window, and what stands out, but where it scrolls by itself.
_OUTSIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const scrolls = (node) => node && (getComputedStyle(node).overflowX !== "visible" || scrolls(node.parentElement));
  return [...document.body.querySelectorAll("*")]
    .filter((node) => node.getBoundingClientRect().right > width + 1 && !scrolls(node.parentElement))
    .map((node) => node.outerHTML.slice(0, 200));
}"""


@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_is_whole(page: Page, part: int, subtests: pytest.Subtests) -> None:
    pages = [(name, address) for name, address in every_page().items() if not name.endswith("-history")]
    for name, address in pages[part::PARTS]:
        page.emulate_media(color_scheme="light")
        page.goto(address)
        with subtests.test(f"{name} is accessible"):
            assert faults(page) == []
        for width in WIDTHS:
            with subtests.test(f"{name} is {width} pixels wide"):
                page.set_viewport_size({"width": width, "height": 900})
                assert page.evaluate(_OUTSIDE)[:3] == []
        with subtests.test(f"{name} is accessible in the dark"):
            page.emulate_media(color_scheme="dark")
            page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))")
            assert faults(page, {"runOnly": ["color-contrast", "link-in-text-block"]}) == []


#: The pages whose pictures are in the documentation, by the names of these.
PICTURES = {
    "sessions": "session-list",
    **{name: name for name in ("session", "spans", "tokens", "compare", "overview")},
    "audit": "auditlog-list",
}


@pytest.mark.skipif("SCREENSHOTS" not in os.environ, reason="pictures are made on demand")
def test_screenshots(page: Page) -> None:
    """Of the documentation's pages, or with ``PICTURES=every`` of all, on a wide screen and on a narrow one."""
    folder = Path(os.environ["SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    pages, every = every_page(), os.environ.get("PICTURES") == "every"
    for file, name in (dict(zip(pages, pages, strict=True)) if every else PICTURES).items():
        for width in WIDTHS if every else (1280,):
            page.set_viewport_size({"width": width, "height": 900})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                page.goto(pages[name])
                suffix = f"{width}-{scheme}" if every else scheme
                page.screenshot(path=folder / f"{file}-{suffix}.png", full_page=every or name == "session")
