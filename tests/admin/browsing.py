"""A browser at the admin, under a strict policy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client, override_settings
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response, sync_playwright
from pytest_django.live_server_helper import LiveServer

from tests.admin.csp import POLICY

CHROMIUM = shutil.which("chromium")
_IN_CI = os.environ.get("CI") == "true"
_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
needs_browser = pytest.mark.skipif(CHROMIUM is None and not _IN_CI, reason="there is no chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's browser."""
    # Playwright's loop runs in this thread, and Django would refuse the tests' own queries.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    assert CHROMIUM, "there is no chromium"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield started
        started.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="module", name="context")
def strict_site(browser: Browser) -> Iterator[BrowserContext]:
    """What a browser keeps between pages, of a site under the strict policy."""
    # A server has the middleware that was set when it was made.
    with override_settings(MIDDLEWARE=["tests.admin.csp.strict", *settings.MIDDLEWARE]):
        server = LiveServer("localhost")
    made = browser.new_context(base_url=server.url, viewport={"width": 1360, "height": 900})
    yield made
    made.close()
    server.stop()


def log_in(context: BrowserContext, username: str) -> None:
    """Give the browser what it would have after a user logged in."""
    client = Client()
    client.force_login(User.objects.get(username=username))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "domain": "localhost", "path": "/"}])


@contextmanager
def watched(context: BrowserContext) -> Iterator[Page]:
    """A new page, of which the console must have had nothing to complain at the end, nor may it lack the policy."""
    opened = context.new_page()
    complaints: list[str] = []

    def look(response: Response) -> None:
        if response.request.is_navigation_request() and response.headers.get("content-security-policy") != POLICY:
            complaints.append(f"{response.url} has no policy")

    opened.on("response", look)
    opened.on("console", lambda message: complaints.append(message.text) if _is_complaint(message) else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    opened.close()
    context.clear_cookies()
    assert complaints == [], "\n".join(complaints)


def _is_complaint(message: ConsoleMessage) -> bool:
    """Whether it is an error, and not that a browser asks for an icon that the tests' site does not have."""
    return message.type == "error" and "favicon" not in message.location["url"]
