"""What belongs to whom, beyond the table of routes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Permission
from django.core.checks import Error, run_checks
from django.db.models import Count
from django.db.models.query import QuerySet
from django.test import Client
from rest_framework.authtoken.models import Token

from chronos_storage import queue
from chronos_storage.api.access import AccessRule
from chronos_storage.api.found import Condition
from chronos_storage.exceptions import ConfigurationError
from chronos_storage.facade import Storage
from chronos_storage.models import AuditLog as AuditLogModel
from chronos_storage.models import MemoryRecord as MemoryModel
from chronos_storage.models import Message as MessageModel
from chronos_storage.models import Session as SessionModel
from chronos_storage.models import Trace as TraceModel
from chronos_storage.records import AuditLog, Event, MemoryRecord, Message, Session, Trace
from chronos_storage.testing.conformance.helpers import case
from tests.api.conftest import Api
from tests.conftest import SQLITE_AND_POSTGRES, alias_of

alias = alias_of(SQLITE_AND_POSTGRES)


def test_memory_and_audit_logs_go_by_their_user_and_their_session(ada: Api, bob: Api, site: Storage) -> None:
    site.create_session(Session(id="hers", user_id=ada.user_id))
    site.create_session(Session(id="his", user_id=bob.user_id))
    for user in ("", ada.user_id, bob.user_id):
        for session in ("", "hers", "his", "none"):
            id = f"{user}-{session}"
            site.put_memory(MemoryRecord(id=id, user_id=user, session_id=session, key="k"))
            site.append_audit_log(AuditLog(id=id, user_id=user, session_id=session))
    visible = {f"{ada.user_id}-", f"{ada.user_id}-hers"}
    for path in ("memory", "audit-logs"):
        assert {each["id"] for each in ada.get(path)["results"]} == visible
        ada.get(f"{path}/{bob.user_id}-", 404)
        ada.get(f"{path}/-hers", 404)
        ada.get(f"{path}/{ada.user_id}-his", 404)


def test_what_belongs_to_a_deleted_session_is_hidden_with_it(ada: Api, staff: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    site.add_message(Message(id="m", session_id="s", role="user"))
    site.append_event(Event(id="e", session_id="s"))
    site.insert_trace(Trace(id="t", session_id="s"))
    site.put_memory(MemoryRecord(id="y", user_id=ada.user_id, session_id="s", key="k"))
    site.append_audit_log(AuditLog(id="a", user_id=ada.user_id, session_id="s"))
    ada.delete("sessions/s")
    for path in (
        "sessions/s",
        "sessions/s/export",
        "sessions/s/messages",
        "sessions/s/messages/m",
        "sessions/s/events",
        "sessions/s/traces/tree",
        "traces/t",
        "memory/y",
        "audit-logs/a",
        "topics/session:s/entries",
    ):
        ada.get(path, 404)
    assert ada.get("memory")["results"] == ada.get("audit-logs")["results"] == []
    # what a deletion hides stays there for staff, and takes nothing more
    assert staff.get("sessions/s/events")["results"][0]["id"] == "e"
    staff.post("sessions/s/events", {"type": "t"}, 404)
    staff.patch("sessions/s", {"title": "new"}, 404)


def test_naming_another_users_session_reveals_and_writes_nothing(ada: Api, bob: Api, site: Storage) -> None:
    site.create_session(Session(id="hers", user_id=ada.user_id))
    for session in ("hers", "none"):
        for path, body in (("traces", {"name": "t"}), ("memory", {"key": "k"})):
            problem = bob.post(path, {**body, "session_id": session}, 404)
            assert problem["detail"] == f"there is no session '{session}'"
    assert not MemoryModel.objects.using(site.alias).exists()
    assert not TraceModel.objects.using(site.alias).exists()
    bob.post("traces", {"name": "of no session"}, 404)


def test_what_the_server_sets_is_refused_from_a_user(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    refused: list[tuple[str, str, Any]] = [
        ("sessions", "id", "chosen"),
        ("sessions", "user_id", "another"),
        ("sessions", "container_id", "c"),
        ("sessions", "image_id", "i"),
        ("sessions", "created_at", "2020-01-01T00:00:00Z"),
        ("sessions", "deleted_at", "2020-01-01T00:00:00Z"),
        ("sessions/s/messages", "id", "chosen"),
        ("sessions/s/events", "id", "chosen"),
        ("sessions/s/events", "seq_num", 7),
        ("sessions/s/events", "hash", "0"),
        ("sessions/s/checkpoints", "id", "chosen"),
        ("sessions/s/fork", "user_id", "another"),
        ("memory", "user_id", "another"),
        ("memory", "id", "chosen"),
        ("traces", "id", "chosen"),
    ]
    for path, field, value in refused:
        with case(path, field):
            problem = ada.post(path, {"role": "user", "checkpoint_id": "k", field: value}, 400)
            assert field in [each["field"] for each in problem["errors"]]
    assert SessionModel.objects.using(site.alias).count() == 1


def test_what_the_ledger_publishes_is_not_forged(ada: Api, staff: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    for asker in (ada, staff):
        asker.post("topics/session:s/entries", {"event": {"seq_num": 1}}, 403)
    assert ada.get("topics/session:s/entries")["results"] == []


def test_a_session_s_topic_is_there_for_who_sees_its_events(ada: Api, novice: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    queue.publish("session:s", {"seq_num": 1})
    assert novice.user
    permissions = {each.codename: each for each in Permission.objects.filter(content_type__app_label="chronos_storage")}
    for granted, status in (("view_queueentry", 403), ("view_event", 200)):
        novice.user.user_permissions.add(permissions[granted])
        novice.get("topics/session:s/entries", status)
    ada.get("topics/session:none/entries", 404)


def test_consumers_are_the_users_own(ada: Api, staff: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    first, second = (queue.publish("session:s", number) for number in range(2))
    consumer = "topics/session:s/consumers/worker"
    queue.ack("worker", "session:s", first)
    assert ada.get(consumer) == {"cursor": None, "unread": 2}
    assert ada.ask("PUT", consumer, {"cursor": second}).json() == {"cursor": second, "unread": 0}
    assert staff.get(consumer) == {"cursor": first, "unread": 1}
    assert queue.get_cursor("worker", "session:s") == first


def test_a_user_keeps_what_is_theirs(ada: Api, bob: Api, site: Storage) -> None:
    session = ada.post("sessions", {})["id"]
    problem = ada.patch(f"sessions/{session}", {"user_id": bob.user_id}, 400)
    assert problem["errors"][0]["field"] == "user_id"
    bob.get(f"sessions/{session}", 404)


def test_staff_say_whose_it_is(staff: Api, ada: Api) -> None:
    staff.post("sessions", {"id": "s", "user_id": ada.user_id, "container_id": "c"})
    assert ada.get("sessions/s")["container_id"] == "c"
    staff.post("memory", {"user_id": ada.user_id, "key": "k", "session_id": "not there yet"})
    staff.post("traces", {"session_id": "not there yet"})


def test_nobody_changes_the_ledger(staff: Api, site: Storage) -> None:
    site.create_session(Session(id="s"))
    site.append_event(Event(id="e", session_id="s"))
    site.append_audit_log(AuditLog(id="a"))
    for path in ("sessions/s/events/e", "audit-logs/a"):
        for method in ("PUT", "PATCH", "DELETE"):
            assert staff.ask(method, path, {}).status_code == 405
    assert AuditLogModel.objects.using(site.alias).filter(pk="a").exists()


def test_an_inactive_user_is_nobody(ada: Api) -> None:
    assert ada.user is not None
    ada.user.is_active = False
    ada.user.save()
    ada.get("sessions", 401)


@pytest.mark.parametrize("pk", [None, ""])
def test_who_has_no_primary_key_has_nothing(pk: str | None, site: Storage) -> None:
    for user_id in ("", "None"):
        site.create_session(Session(id=f"s{user_id}", user_id=user_id))
        site.put_memory(MemoryRecord(key="k", user_id=user_id))
    rule = AccessRule(SimpleNamespace(pk=pk, is_authenticated=True, is_active=True))
    assert not any(rule.may("add", model) for model in (SessionModel, MemoryModel))
    for model in (SessionModel, MemoryModel):
        assert not rule.rows(model)
        assert not rule.kept_rows(model).queryset
    assert rule.missing(["s", "sNone"]) == ["s", "sNone"]


def test_kept_statements_give_the_rule_s_rows(ada: Api, bob: Api, staff: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    site.add_message(Message(session_id="s", role="user"))
    site.insert_trace(Trace(session_id="s"))
    for user_id in (ada.user_id, bob.user_id):
        site.put_memory(MemoryRecord(key="k", session_id="s", user_id=user_id))
        site.append_audit_log(AuditLog(session_id="s", user_id=user_id))
    for user in (ada.user, bob.user, staff.user, AnonymousUser()):
        rule = AccessRule(user)
        for model in (MessageModel, TraceModel, MemoryModel, AuditLogModel):
            rows = rule.rows(model).filter(session_id="s")
            assert set(rule.kept_rows(model, "s").queryset) == set(rows), (user, model)


class OfAnAccount(AccessRule):
    def __init__(self, user: Any) -> None:
        super().__init__(user)
        self.user_id = user.account_id


def test_a_rule_s_user_id_may_be_a_number(site: Storage) -> None:
    for user_id in ("7", "0", "None"):
        site.create_session(Session(id=user_id, user_id=user_id))
    for account_id, there in ((7, ["7"]), ("7", ["7"]), (0, ["0"]), (8, []), ("x", []), (None, [])):
        user = SimpleNamespace(pk=1, account_id=account_id, is_authenticated=True, is_active=True)
        assert [id for id in ("7", "0", "None") if OfAnAccount(user).has_session(id)] == there


class OfANumber(AccessRule):
    @property
    def user_id(self) -> Any:
        return self.user.pk


def test_what_is_written_under_a_number_is_found_again(ada: Api, bob: Api, site: Storage, settings: Any) -> None:
    storage = getattr(settings, "CHRONOS_STORAGE", {})
    settings.CHRONOS_STORAGE = {**storage, "API": {"ACCESS": f"{__name__}.OfANumber"}}
    for path in ("sessions", "memory", "artifacts"):
        made = ada.post(path if path != "artifacts" else "artifacts?name=n", {})
        assert [each["id"] for each in ada.get(path)["results"]] == [made["id"]], path
        assert bob.get(path)["results"] == [], path
        ada.get(f"{path}/{made['id']}")
    assert [session.user_id for session in site.list_sessions()] == [ada.user_id]


def test_a_token_signs_in_without_csrf(ada: Api) -> None:
    assert ada.user is not None
    token = Token.objects.create(user=ada.user)
    asker = Api(Client(enforce_csrf_checks=True))
    session = asker.post("sessions", {}, Authorization=f"Token {token.key}")
    assert session["user_id"] == ada.user_id
    assert asker.get("sessions", 401, Authorization="Token wrong")["status"] == 401
    asker.get("sessions", 401)


def test_a_signed_in_browser_needs_its_csrf_token(ada: Api) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada.user)
    asker = Api(client)
    asker.post("sessions", {}, 403)
    client.cookies["csrftoken"] = "a" * 32
    unread = client.post("/api/sessions", "no JSON", "application/json")  # nothing is parsed before it is known whose
    assert unread.status_code == 403
    asker.post("sessions", {}, X_CSRFToken="a" * 32)
    asker.get("sessions")


class OfTheTeam(AccessRule):
    """All sessions whose title begins with "team" are everybody's."""

    def owned(self, model: Any, rows: QuerySet[Any]) -> QuerySet[Any]:
        if model is SessionModel:
            return rows.filter(title__startswith="team", deleted_at=None)
        return super().owned(model, rows)


class OfAnyTeam(OfTheTeam):
    """The same in any store."""

    def conditions(self, record: Any) -> Any:
        if record is Session:
            return [Condition("title", "prefix", "team")]
        if record in (Message, Event):
            return [Condition("session.title", "prefix", "team")]
        return super().conditions(record)


IN_MEMORY = {"STORAGES": {"default": {"BACKEND": "chronos_storage.backends.document.MemoryBackend"}}}


def test_a_setting_replaces_the_rule(ada: Api, bob: Api, settings: Any) -> None:
    mine = ada.post("sessions", {"title": "mine"})["id"]
    ours = ada.post("sessions", {"title": "team"})["id"]
    settings.CHRONOS_STORAGE = {"API": {"ACCESS": f"{__name__}.OfTheTeam"}}
    for asker in (ada, bob):
        assert [each["id"] for each in asker.get("sessions")["results"]] == [ours]
        asker.get(f"sessions/{mine}", 404)
        asker.get(f"sessions/{mine}/events", 404)


class OwnTenant(AccessRule):
    """Staff too have what is of their own sessions alone."""

    def rows(self, model: Any) -> QuerySet[Any]:
        return self.owned(model, super().rows(model))


def test_a_rule_for_staff_holds_for_what_they_name(staff: Api, bob: Api, site: Storage, settings: Any) -> None:
    site.create_session(Session(id="his", user_id=bob.user_id))
    site.insert_trace(Trace(id="root", trace_id="his run", session_id="his"))
    settings.CHRONOS_STORAGE = {"API": {"ACCESS": f"{__name__}.OwnTenant"}}
    assert staff.ask("PUT", "sessions/his", {}).status_code == 409
    own = {"user_id": staff.user_id}
    assert [staff.ask("PUT", "sessions/mine", own).status_code for _ in range(2)] == [201, 200]
    span = {"session_id": "mine", "parent_id": "root"}
    for stored in (staff.post("traces", span), *staff.post("traces/batch", {"traces": [span]})["traces"]):
        assert stored["trace_id"] == stored["id"]


class WithWords(AccessRule):
    """Sessions in which a user said something, found by a join that finds them once for each message."""

    def owned(self, model: Any, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(messages__role="user").distinct() if model is SessionModel else super().owned(model, rows)


class WithMuch(AccessRule):
    """Sessions of two messages and more, counted by the database."""

    def owned(self, model: Any, rows: QuerySet[Any]) -> QuerySet[Any]:
        if model is SessionModel:
            return rows.annotate(said=Count("messages")).filter(said__gt=1)
        return super().owned(model, rows)


@pytest.mark.parametrize("rule", ["WithWords", "WithMuch"])
def test_a_rule_of_several_tables_gives_each_row_once(rule: str, ada: Api, site: Storage, settings: Any) -> None:
    settings.CHRONOS_STORAGE = {"API": {"ACCESS": f"{__name__}.{rule}"}}
    for id in ("a", "b", "c"):
        site.create_session(Session(id=id))
    site.add_messages([Message(session_id=id, role="user") for id in ("a", "b") for _ in range(3)])
    page = ada.get("sessions?page_size=1")
    pages = [page, ada.get(page["next"].partition("/api/")[2])]
    assert [[each["id"] for each in page["results"]] for page in pages] == [["b"], ["a"]]
    assert pages[1]["next"] is None


def problems_of(setting: dict[str, Any], settings: Any) -> set[str | None]:
    settings.CHRONOS_STORAGE = setting
    return {message.id for message in run_checks(tags=["compatibility", "urls"]) if isinstance(message, Error)}


def test_checks_say_what_is_wrong_with_the_setting(site: Storage, settings: Any) -> None:
    assert problems_of({"API": {"ACCESS": f"{__name__}.OfTheTeam"}}, settings) == set()
    assert problems_of({"API": {"ACCES": "x"}}, settings) == {"chronos_storage.E003"}
    assert problems_of({"API": {"MAX_BODY": "1"}}, settings) == {"chronos_storage.E005"}
    assert problems_of({"API": {"HEARTBEAT": 0}}, settings) == {"chronos_storage.E005"}
    assert problems_of({"API": {"ACCESS": "no.such.thing"}}, settings) == {"chronos_storage.E007"}
    assert problems_of({"API": {"ACCESS": "builtins.dict"}}, settings) == {"chronos_storage.E007"}
    assert problems_of(IN_MEMORY, settings) == set()
    assert problems_of({**IN_MEMORY, "API": {"ACCESS": f"{__name__}.OfTheTeam"}}, settings) == {"chronos_storage.E007"}
    assert problems_of({**IN_MEMORY, "API": {"ACCESS": f"{__name__}.OfAnyTeam"}}, settings) == set()


def test_a_rule_for_querysets_alone_is_a_configuration_error_over_any_other_store(ada: Api, settings: Any) -> None:
    settings.CHRONOS_STORAGE = {**IN_MEMORY, "API": {"ACCESS": f"{__name__}.OfTheTeam"}}
    with pytest.raises(
        ConfigurationError, match=r"OfTheTeam has a method owned\(\) .* give it a method conditions\(\)"
    ):
        ada.get("sessions")


def test_a_rule_says_what_is_there_in_any_store(ada: Api, bob: Api, settings: Any) -> None:
    settings.CHRONOS_STORAGE = {**IN_MEMORY, "API": {"ACCESS": f"{__name__}.OfAnyTeam"}}
    mine = ada.post("sessions", {"title": "mine"})["id"]
    ours = ada.post("sessions", {"title": "team"})["id"]
    for asker in (ada, bob):
        assert [each["id"] for each in asker.get("sessions")["results"]] == [ours]
        asker.get(f"sessions/{mine}", 404)
        asker.get(f"sessions/{mine}/events", 404)
        asker.get(f"sessions/{ours}/events")


def test_what_is_cached_is_served_from_the_database_behind(ada: Api, site: Storage, settings: Any) -> None:
    before = ada.get("sessions")
    options = {"BACKEND": "chronos_storage.backends.orm.OrmBackend", "OPTIONS": {"USING": site.alias}}
    backend = {"BACKEND": "chronos_storage.backends.cached.CachedBackend", "OPTIONS": options}
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": backend}}
    assert ada.get("sessions") == before
    ada.post("sessions", {"title": "new"})
    assert len(ada.get("sessions")["results"]) == len(before["results"]) + 1
