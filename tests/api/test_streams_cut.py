"""Readers that are cut off again and again, while four processes append: each event is received once, in order."""

from __future__ import annotations

import http.client
import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker

from tests.api.serving import SECONDS, Site, network
from tests.databases import PLACES, new_databases

EVENTS, BROWSER_EVENTS = 2_000, 10_000
WRITERS, WORKERS, CUTS, KILLS = 4, 2, 20, 3
#: No message is shorter.
BYTES = 250
CHROMIUM = Path("/usr/bin/chromium")
#: Nothing but what is needed to show a page.
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
OPTIONS += ["--disable-component-update", "--disable-sync"]

#: Follows a session as a page does, and keeps what it hears of.
PAGE = """<!DOCTYPE html>
<title>Follows a session</title>
<script>
  const received = [];
  const source = new EventSource("/api/sessions/browser/events/stream?after=0");
  for (const type of ["0", "1", "2", "3"]) {
    source.addEventListener(type, (event) => received.push([event.type, event.lastEventId, JSON.parse(event.data)]));
  }
</script>
"""


def _place(name: str, settings_module: str) -> Any:
    marks = [pytest.mark.skip(f"no {name}")] if name not in PLACES else []
    return pytest.param((name, settings_module), id=name, marks=marks)


#: There the events are published on the queue, whose waker tells of them.
PUBLISHED = _place("postgres", "project.settings")
#: There the ledger is looked at again and again.
POLLED = _place("sqlite", "tests.api.unpublished")


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[Site]:
    name, settings_module = request.param
    with django_db_blocker.unblock(), new_databases(name, tmp_path_factory.mktemp("cut")) as (url,):
        yield Site(url, settings_module, "cut", "killed", "browser")


def thresholds(events: int, count: int) -> list[int]:
    """So many places, at random, in what must pass; where a test fails, the seed is shown."""
    seed = random.randrange(10**9)
    print("thresholds:", seed)
    return random.Random(seed).sample(range(1000, events * BYTES), count)


#: The names, ids and data of events.
Received = list[tuple[str, str, dict[str, Any]]]


def messages(block: str) -> dict[str, str]:
    """The fields of one block of a stream."""
    return {name: value.removeprefix(" ") for name, _, value in (line.partition(":") for line in block.split("\n"))}


def follow(port: int, site: Site, session_id: str, count: int) -> Received:
    """Read so many events, again and again, from behind the last one."""
    received: Received = []
    last = ""
    until = time.monotonic() + SECONDS
    while len(received) < count:
        assert time.monotonic() < until, f"{len(received)} of {count} events were received"
        try:
            for block in blocks(port, site, session_id, last):
                fields = messages(block)
                last = fields.get("id", last)
                if "data" in fields:
                    received.append((fields["event"], fields["id"], json.loads(fields["data"])))
                if len(received) == count:
                    break
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
    return received


def blocks(port: int, site: Site, session_id: str, last: str) -> Iterator[str]:
    headers = {"Cookie": f"sessionid={site.key}", "Accept": "text/event-stream"}
    if last:
        headers["Last-Event-ID"] = last
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
        connection.request("GET", f"/api/sessions/{session_id}/events/stream?after=0", headers=headers)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        rest = b""
        while data := response.read1(65536):
            *whole, rest = (rest + data).split(b"\n\n")
            for block in whole:
                yield block.decode()


def assert_each_once_in_order(received: Received, folder: Path, count: int) -> None:
    assert [id for _, id, _ in received] == [str(number) for number in range(1, count + 1)]
    acknowledged = {
        (path.name, number, id)
        for path in folder.iterdir()
        for number, id in (line.split() for line in path.read_text().splitlines())
    }
    assert {(event["type"], str(event["seq_num"]), event["id"]) for _, _, event in received} == acknowledged
    assert [name for name, _, _ in received] == [event["type"] for _, _, event in received]


@pytest.mark.parametrize("site", [PUBLISHED, POLLED], indirect=True, scope="module")
def test_a_reader_that_is_cut_off(site: Site, tmp_path: Path) -> None:
    with site.served(WORKERS), network(site.port, thresholds(EVENTS, CUTS)) as proxy:
        with site.appenders("cut", tmp_path, *[EVENTS // WRITERS] * WRITERS):
            received = follow(proxy.port, site, "cut", EVENTS)
        assert proxy.happened == CUTS
    assert_each_once_in_order(received, tmp_path, EVENTS)


@pytest.mark.parametrize("site", [PUBLISHED, POLLED], indirect=True, scope="module")
def test_a_server_that_is_killed_and_started_again(site: Site, tmp_path: Path) -> None:
    with site.served(WORKERS), network(site.port, thresholds(EVENTS, KILLS), partial(restart, site)) as proxy:
        with site.appenders("killed", tmp_path, *[EVENTS // WRITERS] * WRITERS):
            received = follow(proxy.port, site, "killed", EVENTS)
        assert proxy.happened == KILLS
    assert_each_once_in_order(received, tmp_path, EVENTS)


def restart(site: Site) -> None:
    site.kill()
    site.start(WORKERS)


@pytest.mark.skipif(not CHROMIUM.exists() and not os.environ.get("CI"), reason=f"there is no {CHROMIUM}")
@pytest.mark.parametrize("site", [PUBLISHED], indirect=True, scope="module")
def test_a_browsers_event_source(site: Site, tmp_path: Path) -> None:
    """Cut off as often, and for one of the times by the server's end."""
    from playwright.sync_api import sync_playwright

    turns = iter(range(CUTS))

    def happens() -> None:
        if next(turns) == CUTS // 2:
            restart(site)

    with (
        site.served(WORKERS),
        network(site.port, thresholds(BROWSER_EVENTS, CUTS), happens) as proxy,
        site.appenders("browser", tmp_path, *[BROWSER_EVENTS // WRITERS] * WRITERS),
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS) as browser,
    ):
        address = f"http://127.0.0.1:{proxy.port}/followed-by-a-test"
        page = browser.new_page()
        page.context.add_cookies([{"name": "sessionid", "value": site.key, "url": address}])
        page.route(address, lambda route: route.fulfill(body=PAGE, content_type="text/html"))
        page.goto(address)
        page.wait_for_function(f"received.length >= {BROWSER_EVENTS}", timeout=SECONDS * 1000)
        received = page.evaluate("received")
        assert proxy.happened == CUTS
    assert_each_once_in_order(received, tmp_path, BROWSER_EVENTS)
