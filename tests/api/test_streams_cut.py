"""Readers that are cut off again and again, while four processes append: each event is received once, in order."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker

from tests.api.serving import ROOT, SECONDS, Network, Site, network
from tests.databases import PLACES, new_databases

EVENTS = 240
#: Of another session, which a second reader follows too.
OTHERS = 40
WRITERS, WORKERS = 4, 2
#: How often a reader is cut off. A browser waits for a second each time.
CUTS, BROWSER_CUTS = 8, 2
#: The answer's headers are longer.
IN_HEADERS = 60
#: No message is shorter.
BYTES = 250
CHROMIUM = Path("/usr/bin/chromium")
HAS_BROWSER = CHROMIUM.exists() or "CI" in os.environ
#: Nothing but what is needed to show a page.
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
OPTIONS += ["--disable-component-update", "--disable-sync"]

#: Follows a session as a page does, and keeps what it hears of. A source that ended for good is opened anew.
SCRIPT = """
window.received = [];
window.ended = 0;
function follow(after) {
  const source = new EventSource(`/api/sessions/s/events/stream?after=${after}`);
  const receive = (event) => {
    after = event.lastEventId;
    received.push([event.type, after, JSON.parse(event.data)]);
  };
  for (const type of ["0", "1", "2", "3"]) source.addEventListener(type, receive);
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) {
      ended += 1;
      follow(after);
    }
  };
}
follow(0);
"""
#: The same.
PATH = "s/events/stream?after=0"
#: Appends the event that the page's example waits for.
APPEND = """
import django
django.setup()
from chronos_storage import storage
from chronos_storage.records import Event
storage.append_event(Event(session_id="page", type="node_executed", payload={"node": "answer"}))
"""


def _place(name: str, settings_module: str) -> Any:
    marks = [pytest.mark.skip(f"no {name}")] if name not in PLACES else []
    return pytest.param((name, settings_module), id=name, marks=marks)


#: There the events are published on the queue, whose notifier tells of them.
PUBLISHED = _place("postgres", "project.settings")
#: There the ledger is looked at again and again.
POLLED = _place("sqlite", "tests.api.unpublished")


@pytest.fixture
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[Site]:
    name, settings_module = request.param
    with django_db_blocker.unblock(), new_databases(name, tmp_path_factory.mktemp("cut")) as (url,):
        yield Site(url, settings_module, "s", "t", "page")


#: The names, ids and data of events.
Received = list[tuple[str, str, dict[str, Any]]]


def messages(block: str) -> dict[str, str]:
    """The fields of one block of a stream."""
    return {name: value.removeprefix(" ") for name, _, value in (line.partition(":") for line in block.split("\n"))}


def follow(port: int, site: Site, path: str, count: int) -> Received:
    """Read so many events, again and again, from after the last one."""
    received: Received = []
    last = ""
    until = time.monotonic() + SECONDS
    while len(received) < count:
        assert time.monotonic() < until, f"{len(received)} of {count} events were received"
        try:
            for block in blocks(port, site, path, last):
                fields = messages(block)
                last = fields.get("id", last)
                if "data" in fields:
                    received.append((fields["event"], fields["id"], json.loads(fields["data"])))
                if len(received) == count:
                    break
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
    return received


def blocks(port: int, site: Site, path: str, last: str) -> Iterator[str]:
    headers = {"Cookie": f"sessionid={site.key}", "Accept": "text/event-stream"}
    if last:
        headers["Last-Event-ID"] = last
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
        connection.request("GET", f"/api/sessions/{path}", headers=headers)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        rest = b""
        while data := response.read1(65536):
            *whole, rest = (rest + data).split(b"\n\n")
            for block in whole:
                yield block.decode()


def assert_each_once_in_order(received: Received, folder: Path) -> None:
    assert [id for _, id, _ in received] == [str(number) for number in range(1, EVENTS + 1)]
    acknowledged = {
        (path.name, number, id)
        for path in folder.iterdir()
        for number, id in (line.split() for line in path.read_text().splitlines())
    }
    assert {(event["type"], str(event["seq_num"]), event["id"]) for _, _, event in received} == acknowledged
    assert [name for name, _, _ in received] == [event["type"] for _, _, event in received]


@contextmanager
def cutting(
    site: Site, cuts: int, happens: Callable[[], None] = lambda: None, *, within_headers: bool = False
) -> Iterator[Network]:
    """The site as a reader sees it who is cut off so many times, and once more as soon as it is back, if so asked."""
    # Where a test fails, the seed is shown.
    seed = random.randrange(10**9)
    print("thresholds:", seed)
    thresholds = random.Random(seed).sample(range(1000, EVENTS * BYTES), cuts)
    if within_headers:
        thresholds.append(thresholds[0] + IN_HEADERS)
    with network(site.port, thresholds, happens) as proxy:
        yield proxy
    assert proxy.happened == len(thresholds)


@contextmanager
def killed_once(site: Site, workers: int) -> Iterator[Network]:
    """The same, while the site is served by so many processes; one of the cuts is because they were killed."""
    turns = iter(range(CUTS))

    def happens() -> None:
        if next(turns) == CUTS // 2:
            site.kill()
            site.start(workers)

    with site.served(workers), cutting(site, CUTS, happens) as proxy:
        yield proxy


def appenders(site: Site, folder: Path) -> AbstractContextManager[None]:
    return site.appenders("s", folder, *[EVENTS // WRITERS] * WRITERS)


@pytest.mark.parametrize("site", [POLLED] if HAS_BROWSER else [POLLED, PUBLISHED], indirect=True)
def test_readers_of_one_session_and_of_two_that_are_cut_off(site: Site, tmp_path: Path) -> None:
    folder, other_folder = tmp_path / "s", tmp_path / "t"
    for each in (folder, other_folder):
        each.mkdir()
    with (
        killed_once(site, 1) as proxy,
        cutting(site, CUTS) as other_proxy,
        ThreadPoolExecutor(1) as pool,
        appenders(site, folder),
        site.appenders("t", other_folder, OTHERS),
    ):
        following = pool.submit(follow, other_proxy.port, site, "stream?ids=s,t&after=0", EVENTS + OTHERS)
        received = follow(proxy.port, site, PATH, EVENTS)
        received_of_both = following.result(SECONDS)
    assert_each_once_in_order(received, folder)
    for session_id, count in (("s", EVENTS), ("t", OTHERS)):
        numbers = [event["seq_num"] for _, _, event in received_of_both if event["session_id"] == session_id]
        assert numbers == list(range(1, count + 1))


@pytest.mark.skipif(not HAS_BROWSER, reason=f"there is no {CHROMIUM}")
@pytest.mark.parametrize("site", [PUBLISHED], indirect=True)
def test_such_a_reader_and_a_browsers_event_source(site: Site, tmp_path: Path) -> None:
    with (
        killed_once(site, WORKERS) as proxy,
        cutting(site, BROWSER_CUTS, within_headers=True) as browsers_proxy,
        browsing(site, browsers_proxy.port) as page,
        ThreadPoolExecutor(1) as pool,
    ):
        with appenders(site, tmp_path):
            page.evaluate(f"{{ {SCRIPT} }}")
            following = pool.submit(follow, proxy.port, site, PATH, EVENTS)
            page.wait_for_function(f"received.length >= {EVENTS}", timeout=SECONDS * 1000)
        # A browser takes the headers that came as all there are, and what has no type is no stream.
        assert page.evaluate("ended") >= 1
        for received in (page.evaluate("received"), following.result(SECONDS)):
            assert_each_once_in_order(received, tmp_path)
        assert_page_is_right(site, page)


@contextmanager
def browsing(site: Site, port: int) -> Iterator[Any]:
    """An empty page of the site, in a browser that knows the user."""
    from playwright.sync_api import sync_playwright

    address = f"http://127.0.0.1:{port}/empty-page-of-a-test"
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS) as browser,
    ):
        page = browser.new_page()
        page.context.add_cookies([{"name": "sessionid", "value": site.key, "url": address}])
        page.route(address, lambda route: route.fulfill(body="<!DOCTYPE html>", content_type="text/html"))
        page.goto(address)
        yield page


def assert_page_is_right(site: Site, page: Any) -> None:
    [example] = re.findall(r"```js\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL)
    site.python("-c", APPEND)
    with page.expect_console_message(timeout=SECONDS * 1000) as shown:
        page.evaluate(f"{{ const id = 'page'; {example} }}")
    assert [each.json_value() for each in shown.value.args] == [1, {"node": "answer"}]
