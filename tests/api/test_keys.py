"""API keys: what they give, never more than their owner may, and when they are refused."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import Permission, User
from django.db import transaction
from django.test import Client
from django.utils import timezone

from chronos_storage.api.keys.authentication import ApiKeyAuthentication
from chronos_storage.api.keys.models import ApiKey
from chronos_storage.api.scopes import SCOPES
from chronos_storage.api.views import ApiMixin
from chronos_storage.exceptions import InvalidRecord
from chronos_storage.facade import Storage
from chronos_storage.records import Session
from chronos_storage.testing.conformance.helpers import case
from tests.api.conftest import Api, body_of
from tests.api.routes import ROUTES, Route
from tests.api.serving import ROOT
from tests.api.test_streams import EVENTS, Stream, committed, published, reading, session  # noqa: F401
from tests.conftest import ONLY_SQLITE, alias_of, each_database

alias = alias_of(ONLY_SQLITE)


def needed(route: Route) -> set[str]:
    """The scopes that a route needs."""
    names = {"embeddings": "collections", "audit logs": "audit-logs"}
    return {f"{names.get(what, what)}:{'read' if verb == 'view' else 'write'}" for verb, what in route.needs}


@pytest.fixture(autouse=True)
def authentication(monkeypatch: pytest.MonkeyPatch) -> None:
    """The site's users sign in by keys too; DRF reads its setting once."""
    classes = [ApiKeyAuthentication, *ApiMixin.authentication_classes]
    monkeypatch.setattr(ApiMixin, "authentication_classes", classes)


def key(api: Api, *scopes: str, **fields: Any) -> Api:
    """A client that has nothing but a new key of the user's."""
    _, made = ApiKey.objects.create_key(owner=api.user, name="agent", scopes=list(scopes), **fields)
    return with_key(made, api.user)


def with_key(made: str, user: User | None = None) -> Api:
    return Api(Client(headers={"Authorization": f"Api-Key {made}"}), user)


def test_every_route_holds_the_scopes(alias: str, cursor: str, staff: Api) -> None:
    """With those that it needs alone a key does what its owner does, and with all others nothing."""
    for route in ROUTES:
        wanted = needed(route)
        others = set(SCOPES) - {"read", "write"} - wanted
        with case(route.name), transaction.atomic(using=alias):
            for lacking in wanted:
                answer = key(staff, *others, *wanted - {lacking}).ask(
                    route.method, route.path(), route.body(cursor), **route.headers
                )
                assert answer.status_code == 403, answer.content
                assert lacking in answer.json()["detail"]
            answer = key(staff, *wanted).ask(route.method, route.path(), route.body(cursor), **route.headers)
            assert answer.status_code == route.without_asgi(route.staff)
            body_of(answer)
            transaction.set_rollback(True, using=alias)


def test_a_session_is_removed_for_good_by_who_may_write_all_that_goes(staff: Api, site: Storage) -> None:
    names = ("sessions", "messages", "events", "checkpoints", "traces", "memory", "audit-logs", "artifacts")
    site.create_session(Session(id="s"))
    for lacking in names:
        scopes = [f"{name}:write" for name in names if name != lacking]
        assert f"{lacking}:write" in key(staff, *scopes).delete("sessions/s?hard=true", 403)["detail"]
    key(staff, *(f"{name}:write" for name in names)).delete("sessions/s?hard=true")
    assert site.get_session("s", include_deleted=True) is None


def test_a_key_gives_no_more_than_its_owner_may(alias: str, cursor: str, bob: Api) -> None:
    keyed = key(bob, "read", "write")
    for route in ROUTES:
        with case(route.name), transaction.atomic(using=alias):
            answer = keyed.ask(route.method, route.path(), route.body(cursor), **route.headers)
            assert answer.status_code == route.without_asgi(route.other)
            body_of(answer)
            transaction.set_rollback(True, using=alias)


def test_a_key_signs_in_its_owner(ada: Api, bob: Api, site: Storage) -> None:
    site.create_session(Session(id="hers", user_id=ada.user_id))
    site.create_session(Session(id="his", user_id=bob.user_id))
    reader = key(ada, "sessions:read")
    assert [each["id"] for each in reader.get("sessions")["results"]] == ["hers"]
    reader.get("sessions/his", 404)
    assert "messages:read" in reader.get("sessions/hers/messages", 403)["detail"]
    # who sees no session isn't told that there is one
    assert key(ada, "topics:read").get("topics/session:none/entries", 403)
    assert key(ada, "topics:read").get("topics/~c2Vzc2lvbjpoZXJz/entries", 403)
    assert key(ada, "write").post("sessions", {})["user_id"] == ada.user_id
    key(ada, "write").get("sessions", 403)
    key(ada, "read").post("sessions", {}, 403)
    key(ada).get("sessions", 403)
    key(ada).get("")


def test_a_key_is_refused(ada: Api, site: Storage) -> None:
    assert ada.user
    row, made = ApiKey.objects.create_key(owner=ada.user, name="agent", scopes=["read"])
    assert made not in {row.id, row.hashed_key}
    with_key(made).get("sessions")

    for wrong in (made[:-1], made + "x", made[:9] + made[:8:-1], "", "é.é", row.id, made.partition(".")[0]):
        with case(wrong):
            answer = with_key(wrong).ask("GET", "sessions")
            assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Api-Key")
    for query in (f"api_key={made}", f"key={made}", f"Authorization=Api-Key {made}", f"access_token={made}"):
        with case(query):
            Api(Client()).get(f"sessions?{query}", 401)
    key(ada, "read", expiry_date=timezone.now() - timedelta(seconds=1)).get("sessions", 401)
    key(ada, "read", expiry_date=timezone.now() + timedelta(hours=1)).get("sessions")

    User.objects.update(is_active=False)
    with_key(made).get("sessions", 401)
    User.objects.update(is_active=True)
    with_key(made).get("sessions")
    row.revoked = True
    row.save()
    with_key(made).get("sessions", 401)
    other = key(ada, "read")
    ada.user.delete()
    other.get("sessions", 401)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("alias", each_database(without=["default"]), indirect=True)
def test_keys_are_kept_by_every_database(alias: str, ada: Api) -> None:
    """In the table that their migration has made there."""
    row, made = ApiKey.objects.create_key(owner=ada.user, name="agent", scopes=["sessions:read"])
    assert ApiKey.objects.using(alias).get(owner=ada.user).scopes == ["sessions:read"]
    with_key(made).get("sessions")
    for wrong in (made.swapcase(), made[:8].swapcase() + made[8:]):
        with_key(wrong).get("sessions", 401)
    with_key(made).post("sessions", {}, 403)
    assert ada.user
    ada.user.delete()
    assert not ApiKey.objects.using(alias).filter(pk=row.pk).exists()


def test_a_stream_ends_with_what_it_was_begun_by(committed: Storage, ada: Api, settings: Any) -> None:  # noqa: F811
    """And not because somebody else at its address signs in wrongly."""
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {"chronos_auth": "1/hour"}}

    def fail() -> None:
        with_key("wrong").get("sessions", 401)
        with_key("wrong").get("sessions", 429)

    begun: asyncio.Barrier

    async def ends(lose: Callable[[ApiKey], Any]) -> None:
        row, made = await sync_to_async(ApiKey.objects.create_key)(
            owner=ada.user, name="agent", scopes=["events:read", "topics:read"]
        )

        async def use(stream: Stream) -> list[bytes]:
            await stream.part()
            if await begun.wait() == 0:
                await sync_to_async(fail)()
            assert await stream.part() == b":\n\n"
            await sync_to_async(lose)(row)
            return await stream.end()

        client = Api(Client())
        with case(lose.__name__):
            assert set(await reading(client, EVENTS, use, authorization=f"Api-Key {made}")) <= {b":\n\n"}

    def revoke(row: ApiKey) -> None:
        row.revoked = True
        row.save()

    def narrow(row: ApiKey) -> None:
        row.scopes = ["messages:read"]
        row.save()

    async def all_at_once() -> None:
        nonlocal begun
        begun = asyncio.Barrier(3)
        await asyncio.gather(ends(revoke), ends(narrow), ends(ApiKey.delete))

    async_to_sync(all_at_once)()


def test_the_documentation_makes_a_key(ada: Api, site: Storage) -> None:
    text = (ROOT / "docs" / "authentication.md").read_text()
    [example] = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "create_key" in block]
    made: dict[str, Any] = {"user": ada.user}
    exec(example, made)
    assert made["row"].scopes == ["messages:read", "events:write"]
    site.create_session(Session(id="s", user_id=ada.user_id))
    with_key(made["key"]).get("sessions/s/messages")
    assert all(f"`{scope}`" in text or f"`{scope.partition(':')[0]}`" in text for scope in SCOPES)


def test_scopes_that_there_are_not_are_refused(ada: Api) -> None:
    for scopes in (["all"], "read", [["read"]], None):
        with case(scopes), pytest.raises(InvalidRecord, match="scopes"):
            ApiKey.objects.create_key(owner=ada.user, name="agent", scopes=scopes)


def test_the_document_says_how_keys_are_sent_where_they_are_taken(staff: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    document = staff.get("schema")
    scheme = document["components"]["securitySchemes"]["apiKeyAuth"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "Authorization")
    assert {"apiKeyAuth": []} in document["paths"]["/sessions"]["get"]["security"]
    monkeypatch.undo()
    assert "apiKeyAuth" not in staff.get("schema")["components"]["securitySchemes"]


class TestAdmin:
    def made(self, browser: Client, owner: User | None, **fields: Any) -> Any:
        data = {"name": "agent", "owner": owner and owner.pk, "scopes": ["read", "events:write"], **fields}
        return browser.post("/admin/chronos_keys/apikey/add/", data, follow=True)

    def test_a_key_is_made_and_shown_once(self, ada: Api, site: Storage) -> None:
        operator = Client()
        operator.force_login(User.objects.create_superuser("operator"))
        page = self.made(operator, ada.user).content.decode()
        [made] = re.findall(r"[A-Za-z0-9]{8}\.[A-Za-z0-9]{32}", page)
        with_key(made).get("sessions")
        row = ApiKey.objects.get()
        assert (row.owner, row.scopes) == (ada.user, ["read", "events:write"])
        address = f"/admin/chronos_keys/apikey/{row.pk}/change/"
        for again in ("/admin/chronos_keys/apikey/", address):
            assert made.partition(".")[2] not in operator.get(again).content.decode()
        # what it gives stays as it was made
        operator.post(address, {"name": "agent", "revoked": "on", "scopes": ["write"], "owner": "1"})
        row.refresh_from_db()
        assert (row.owner, row.scopes, row.revoked) == (ada.user, ["read", "events:write"], True)
        with_key(made).get("sessions", 401)

    def test_who_is_no_superuser_makes_none_for_others(self, ada: Api, novice: Api) -> None:
        assert novice.user
        novice.user.user_permissions.add(
            Permission.objects.get(codename="add_apikey", content_type__app_label="chronos_keys")
        )
        self.made(novice.client, ada.user)
        assert not ApiKey.objects.exists()
        self.made(novice.client, novice.user)
        assert ApiKey.objects.get().owner == novice.user
