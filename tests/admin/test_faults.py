"""Ten faults among ten thousand sessions: an operator reaches each from the home page with at most four clicks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from playwright.sync_api import BrowserContext, Locator, Page, expect

from chronos_storage import records
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.facade import Storage
from tests.admin import haystack, needles
from tests.admin.browsing import browser, log_in, needs_browser, strict_site, watched  # noqa: F401
from tests.databases import PLACES, hand_written, new_databases
from tests.routers import OneDatabase

#: How many clicks an operator may need; what is typed goes with the click that sends it.
MOST = 4
pytestmark = [
    needs_browser,
    pytest.mark.skipif("postgres" not in PLACES, reason="there is no PostgreSQL"),
    pytest.mark.django_db(databases=[]),
]


class Walk:
    """An operator's way through the admin, from its home page on."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0
        page.goto("/admin/")

    def click(self, place: Locator) -> None:
        """Click on what is there once, and wait for what comes."""
        self.clicks += 1
        assert self.clicks <= MOST
        place.click()
        self.page.wait_for_load_state()

    def link(self, name: str | re.Pattern[str], within: Locator | None = None) -> None:
        """Click on the link of this name."""
        self.click((within or self.page).get_by_role("link", name=name, exact=isinstance(name, str)).first)

    def order_by(self, column: str) -> None:
        """Click on a column's name, which is a link or, since Django 6.1, a button."""
        self.click(self.page.get_by_role("columnheader").get_by_text(column, exact=True))

    def search(self, label: str, text: str) -> None:
        """Type a text, and send it."""
        self.page.get_by_label(label, exact=True).fill(text)
        self.click(self.page.get_by_role("button", name="Search"))

    def sees(self, *texts: str | re.Pattern[str]) -> None:
        """The fault itself is on the screen: each of these texts is within what the window shows now."""
        for text in texts:
            expect(self.page.get_by_text(text).filter(visible=True).first).to_be_in_viewport()


@pytest.fixture
def shop(tmp_path: Path, other_databases: None, settings) -> Iterator[Storage]:
    """The storage of a shop whose whole site is in a new PostgreSQL database."""
    with new_databases("postgres", tmp_path) as [url]:
        alias = hand_written(url)
        settings.DATABASE_ROUTERS = [OneDatabase(alias)]
        settings.ALLOWED_HOSTS = ["localhost"]
        settings.CHRONOS_STORAGE = {"ADMIN": {"TOKEN_BUDGET": needles.TOKEN_BUDGET}}
        call_command("migrate", database=alias, verbosity=0)
        until = records.now().replace(second=0, microsecond=0)
        storage = Storage(OrmBackend(using=alias))
        haystack.fill(storage, until, turns=1)
        needles.plant(storage, until)
        User.objects.create_superuser("operator")
        yield storage


@pytest.fixture
def page(context: BrowserContext, shop: Storage) -> Iterator[Page]:
    log_in(context, "operator")
    with watched(context) as opened:
        opened.set_default_timeout(5_000)
        yield opened


def failed_tool(walk: Walk) -> None:
    walk.link("Sessions")
    walk.link("with errors")
    walk.link(re.compile("Paying for order"))
    walk.link("Next error")
    walk.sees("card_declined")


def slow_model_call(walk: Walk) -> None:
    walk.link("Sessions")
    walk.link("Overview")
    walk.link("4 min 12 s")
    walk.sees("4 min 12 s")


def lost_result(walk: Walk) -> None:
    walk.link("Sessions")
    walk.link("with a tool call without a result")
    walk.link(re.compile("Cancelling order"))
    walk.sees("cancel_order", "No result")


def wrong_amount(walk: Walk) -> None:
    walk.link("Sessions")
    walk.search("Words in titles and messages", "1200")
    walk.link(re.compile("Refund for order"))
    walk.sees(re.compile("1200"))


def loop(walk: Walk) -> None:
    walk.link("Sessions")
    walk.order_by("Calls")
    walk.link(re.compile("lamp"))
    walk.sees("find_lamps")


def tampered_chain(walk: Walk) -> None:
    walk.link("Sessions")
    walk.link("with a broken chain")
    walk.link("broken")
    walk.sees("Broken", re.compile("number 7"))


def stuck_session(walk: Walk) -> None:
    walk.link("Sessions")
    walk.link("stuck")
    walk.link(re.compile("Sending order"))
    walk.sees("send_again", "No result")


def too_many_tokens(walk: Walk) -> None:
    walk.link("Sessions")
    walk.link("over the token budget")
    walk.link(re.compile("catalogue"))
    walk.sees(re.compile(r"270\W000"))


def wrong_fork(walk: Walk) -> None:
    walk.link("Sessions")
    walk.link("forked from another")
    walk.link(re.compile("Exchange"))
    walk.sees("Exchange of order W-4404", re.compile("KeyError"))


def missing_acknowledgement(walk: Walk) -> None:
    walk.link("Queue topics")
    walk.link("refunds")
    walk.sees("mailer", str(needles.LAG))


FAULTS: tuple[Callable[[Walk], None], ...] = (
    failed_tool,
    slow_model_call,
    lost_result,
    wrong_amount,
    loop,
    tampered_chain,
    stuck_session,
    too_many_tokens,
    wrong_fork,
    missing_acknowledgement,
)


def test_ten_faults_among_ten_thousand_sessions(page: Page, subtests: pytest.Subtests) -> None:
    for find in FAULTS:
        with subtests.test(find.__name__):
            find(Walk(page))
