"""How users sign in: what is wrong is counted by the client's address, and then not even looked at."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from rest_framework.authtoken.models import Token
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import AccessToken

from chronos_storage.api.views import ApiMixin
from tests.api.conftest import Api
from tests.conftest import ONLY_SQLITE, alias_of

alias = alias_of(ONLY_SQLITE)


def from_(address: str, token: str, forwarded: str = "") -> Api:
    """A client at an address that says it has this token."""
    given = {"Authorization": f"Token {token}", "X-Forwarded-For": forwarded}
    return Api(Client(REMOTE_ADDR=address, headers=given))


@pytest.fixture
def thrice(settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {"chronos_auth": "3/hour"}}


def test_bad_credentials_are_throttled_by_address(ada: Api, thrice: None) -> None:
    assert ada.user
    token = Token.objects.create(user=ada.user).key
    for _ in range(10):  # what is right counts for nothing
        from_("198.51.100.1", token).get("sessions")
    Api(Client(REMOTE_ADDR="198.51.100.1")).get("sessions", 401)  # nor does what isn't there
    for _ in range(3):
        from_("198.51.100.1", "wrong").get("sessions", 401)
    for guess in ("wrong", token):
        for path in ("sessions", "sessions/none/events/stream", "no/such/thing"):
            answer = from_("198.51.100.1", guess).ask("GET", path)
            assert answer.status_code == 429
            assert 0 < int(answer["Retry-After"]) <= 3600
            assert answer["Content-Type"] == "application/problem+json"
    page = from_("198.51.100.1", token).ask("GET", "sessions", Accept="text/html")
    assert (page.status_code, re.findall(rb"\bada\b", page.content)) == (429, [])

    ada.client.defaults["REMOTE_ADDR"] = "198.51.100.1"
    ada.get("sessions")  # whose session has begun
    from_("198.51.100.2", token).get("sessions")


def test_the_address_is_not_what_the_client_says(ada: Api, thrice: None, settings: Any) -> None:
    for number in range(3):
        from_("198.51.100.3", "wrong", f"203.0.113.{number}").get("sessions", 401)
    from_("198.51.100.3", "wrong", "203.0.113.9").get("sessions", 429)

    # but after as many proxies as the project says, what the outermost of them saw
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    for number in range(3):
        from_("198.51.100.3", "wrong", f"{number}, 203.0.113.10").get("sessions", 401)
    from_("198.51.100.3", "wrong", "9, 203.0.113.10").get("sessions", 429)
    from_("198.51.100.3", "wrong", "9, 203.0.113.11").get("sessions", 401)


def test_without_a_rate_nothing_is_counted(anonymous: Api) -> None:
    for _ in range(5):
        from_("198.51.100.4", "wrong").get("sessions", 401)


def test_jwt_signs_in_until_it_expires_or_its_user_is_gone(
    ada: Api, monkeypatch: pytest.MonkeyPatch, thrice: None
) -> None:
    monkeypatch.setattr(ApiMixin, "authentication_classes", [JWTAuthentication])
    assert ada.user

    problems: list[Any] = []

    def ask(token: AccessToken) -> int:
        client = Client(REMOTE_ADDR="198.51.100.5", headers={"Authorization": f"Bearer {token}"})
        answer = Api(client).ask("GET", "sessions")
        if answer.status_code != 200:
            problems.append(answer.json())
        status: int = answer.status_code
        return status

    token = AccessToken.for_user(ada.user)
    late = AccessToken.for_user(ada.user)
    late.set_exp(lifetime=-timedelta(seconds=1))
    assert (ask(token), ask(late)) == (200, 401)
    ada.user.is_active = False
    ada.user.save()
    assert ask(token) == 401
    ada.user.delete()
    assert (ask(token), ask(token)) == (401, 429)
    types = ["token-not-valid", "authentication-failed", "authentication-failed", "throttled"]
    assert [problem["type"].removeprefix("urn:chronos-storage:problem:") for problem in problems] == types
    assert [problem["detail"] for problem in problems][:2] == [
        "Given token not valid for any token type",
        "User is inactive",
    ]
