"""Pages of other origins, in a browser, with the settings of docs/authentication.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django.live_server_helper import LiveServer
from rest_framework.authtoken.models import Token

from tests.admin.browsing import browser  # noqa: F401
from tests.admin.test_browser import pytestmark  # noqa: F401
from tests.api.serving import ROOT

#: Names of the machine itself: a browser lets no page from elsewhere ask there.
API, ALLOWED, OTHER = "localhost", "127.0.0.1", "other.localhost"

#: What a page's own script does: creates, reads and changes a session; null where the browser doesn't let it.
SCRIPT = """
async ([api, token]) => {
  const headers = { Authorization: `Token ${token}`, "Content-Type": "application/json" };
  const ask = (path, method, more, body) =>
    fetch(`${api}/${path}`, { method, headers: { ...headers, ...more }, body: body && JSON.stringify(body) });
  try {
    const made = await ask("sessions", "POST", { "Idempotency-Key": "first" }, { title: "from afar" });
    const again = await ask("sessions", "POST", { "Idempotency-Key": "first" }, { title: "from afar" });
    const path = `sessions/${(await made.json()).id}`;
    const etag = (await ask(path, "GET")).headers.get("ETag");
    const changed = await ask(path, "PATCH", { "If-Match": etag }, { title: "changed" });
    const late = await ask(path, "PATCH", { "If-Match": etag }, { title: "late" });
    const gone = await ask(path, "DELETE");
    const refused = await fetch(`${api}/sessions`, { headers: { Authorization: "Token wrong" } });
    return [made, again, changed, late, gone, refused].map((response) => response.status);
  } catch (error) {
    return null;
  }
}
"""
#: Whether the page may read with the user's cookies.
WITH_COOKIES = """
(api) => fetch(`${api}/sessions`, { credentials: "include" }).then((response) => response.status, () => null)
"""


@pytest.fixture
def api(settings: Any) -> Iterator[str]:
    """The address of the API on a site with those settings."""
    text = (ROOT / "docs" / "authentication.md").read_text()
    [example] = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "corsheaders" in block]
    made: dict[str, Any] = {"INSTALLED_APPS": [], "MIDDLEWARE": [*settings.MIDDLEWARE]}
    exec(example, made)
    for name, value in made.items():
        if name == "MIDDLEWARE" or name.startswith("CORS_"):
            setattr(settings, name, value)
    settings.ALLOWED_HOSTS = [API, ALLOWED, OTHER]
    server = LiveServer(API)
    settings.CORS_ALLOWED_ORIGINS = [server.url.replace(API, ALLOWED)]
    yield f"{server.url}/api"
    server.stop()


def test_a_page_of_another_origin_asks_where_it_may(browser: Any, api: str) -> None:  # noqa: F811
    token = Token.objects.create(user=User.objects.create_user("ada")).key
    page = browser.new_page()
    answers = {}
    for host in (ALLOWED, OTHER):
        page.goto(api.replace(API, host))
        answers[host] = page.evaluate(SCRIPT, [api, token])
        assert page.evaluate(WITH_COOKIES, api) is None
    page.close()
    assert answers == {ALLOWED: [201, 201, 200, 412, 204, 401], OTHER: None}
