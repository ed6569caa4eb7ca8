"""Redaction: what the hooks take out is never kept, on any way in but `load`, and is counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connections
from django.test import override_settings

from chronos_storage import Storage, signals
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.exceptions import ConfigurationError, InvalidRecord
from chronos_storage.importing.importer import digest, put_once, store
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.records import (
    Artifact,
    AuditLog,
    Checkpoint,
    Container,
    Embedding,
    Event,
    Image,
    MemoryRecord,
    Message,
    Session,
    Trace,
)
from chronos_storage.redaction import counted, secrets
from chronos_storage.testing.conformance.helpers import cases
from chronos_storage.vectors.exact import ExactVectorStore
from tests.conftest import ONLY_SQLITE

KEY = "sk-proj-" + "aB3" * 10
GONE = "[redacted: openai_key]"
PEM = "-----BEGIN {0}-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,AA\n\nabc\n-----END {0}-----"


@pytest.fixture
def counts() -> Iterator[Counter[str]]:
    """What the hooks, which are on, have counted, by the record and the name."""
    found: Counter[str] = Counter()

    def count(sender: type[Any], counts: dict[str, int], **kwargs: Any) -> None:
        found.update({f"{sender.__name__} {name}": number for name, number in counts.items()})

    signals.redacted.connect(count)
    with override_settings(CHRONOS_STORAGE={"REDACT": ["chronos_storage.redaction.secrets"]}):
        yield found
    signals.redacted.disconnect(count)


def write_everything(storage: Storage) -> None:
    """A secret in every record and by every call that writes."""
    said = f"my key is {KEY}, keep it"
    deep = {"a": [{"b": said}]}
    storage.create_session(Session(id="s", title=said, metadata=deep))
    storage.ensure_session(Session(id="t", title=said))
    storage.save_session(Session(id="u", metadata=deep))
    storage.save_session(Session(id="u", title=said))
    storage.update_session(Session(id="t", metadata=deep))
    storage.patch_session("s", title=said)
    storage.patch_session_metadata("s", {"more": said})
    message = storage.add_message(Message(session_id="s", role="user", content=said, raw=deep))
    assert storage.add_message(Message(id=message.id, session_id="s", role="user", content=said, raw=deep)) == message
    storage.add_messages([Message(session_id="s", role="tool", tool_calls=[deep], metadata=deep)])
    storage.put_memory(MemoryRecord(agent_id="a", key="k", value=said))
    storage.append_audit_log(AuditLog(actor="a", detail=deep))
    trace = storage.insert_trace(Trace(session_id="s", input=deep, attributes=deep))
    storage.end_trace(trace.id, output=said, error=said, events=[deep])
    event = storage.append_event(Event(session_id="s", payload=deep))
    assert storage.append_event(Event(id=event.id, session_id="s", payload=deep)) == event
    checkpoint = storage.save_checkpoint(Checkpoint(session_id="s", state={"messages": [said] * 3}, metadata=deep))
    storage.fork_session(checkpoint.id, title=said)
    storage.save_container(Container(id="c", config=deep))
    storage.save_image(Image(id="i", system_prompt=said, mcp_servers=deep))
    storage.patch_image_metadata("i", {"more": said})
    storage.put_artifact(Artifact(name="n", session_id="s", metadata=deep), BytesIO(b"bytes"))
    with storage.purge_permit(reason=said) as permit:
        permit.purge_audit_logs(agent_id="")


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_nothing_that_a_hook_takes_out_is_in_any_row(storage: Storage, alias: str, counts: Counter[str]) -> None:
    write_everything(storage)
    OrmQueue(using=alias).publish("t", {"text": KEY})
    text = "\n".join(connections[alias].connection.iterdump())
    assert GONE in text
    assert KEY not in text
    assert KEY[8:] not in text
    assert {name.split()[0] for name in counts} >= {
        *("Session", "Message", "MemoryRecord", "AuditLog", "Trace", "Event", "Checkpoint", "Container", "Image"),
        *("Artifact", "NewEntry"),
    }
    assert {name.split()[1] for name in counts} == {"openai_key"}
    assert storage.verify_events("s").intact


def test_documents_are_redacted_too(counts: Counter[str]) -> None:
    storage = Storage(MemoryBackend())
    write_everything(storage)
    kept = [record for kind in ("session", "message", "memory", "trace", "event") for record in storage.scan(kind)]
    assert kept
    assert KEY not in repr(kept)


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_embeddings_are_redacted_too(storage: Storage, alias: str, counts: Counter[str]) -> None:
    vectors = ExactVectorStore(using=alias)
    vectors.create_collection("c", 2)
    vectors.upsert("c", [Embedding(id="e", vector=[1, 0], content=KEY, metadata={"k": KEY})])
    found = vectors.get("c", "e")
    assert found is not None
    assert (found.content, found.metadata) == (GONE, {"k": GONE})


def test_what_is_loaded_is_kept_as_it_is_and_counted(counts: Counter[str]) -> None:
    source, target = Storage(MemoryBackend()), Storage(MemoryBackend())
    with override_settings(CHRONOS_STORAGE={}):
        source.create_session(Session(id="s"))
        source.append_event(Event(session_id="s", payload=KEY))
    target.load([*source.scan("session"), *source.scan("event")])
    assert target.list_events("s")[0].payload == KEY
    assert target.verify_events("s").intact
    assert counts == {"Event openai_key": 1}
    # What is there already, unredacted, is another content than what a writer would write now.
    assert source.list_events("s")[0].payload == KEY


def test_what_is_imported_of_foreign_formats_is_redacted(counts: Counter[str]) -> None:
    storage = Storage(MemoryBackend())
    at = datetime(2026, 1, 1, tzinfo=UTC)
    put_once(storage, Container(id="c", config={"key": KEY}, created_at=at, updated_at=at))
    put_once(storage, Image(id="i", system_prompt=KEY, created_at=at, updated_at=at))
    store(storage, Session(id="s", title=KEY), lambda: [Message(id="m", session_id="s", role="user", content=KEY)])
    kept = [record for kind in ("container", "image", "session", "message") for record in storage.scan(kind)]
    assert len(kept) == sum(counts.values()) == repr(kept).count(GONE)
    assert KEY not in repr(kept)
    # The ledger's word of a message is of what is kept, by which it can be compared; of a secret it gives no digest.
    [event], [message] = storage.list_events("s"), storage.list_messages("s")
    assert event.payload["sha256"] == digest(message)


def test_what_is_loaded_can_be_gone_through_again_where_it_was_given_so(counts: Counter[str]) -> None:
    given = [Event(session_id="s", payload=KEY)]
    again = counted(given)
    assert [list(again), list(again)] == [given, given]
    assert isinstance(counted(iter(given)), Iterator)


def test_the_caller_s_own_record_is_not_changed(counts: Counter[str]) -> None:
    given = Event(session_id="s", payload={"a": [KEY]})
    before = replace(given, payload={"a": [KEY]})
    storage = Storage(MemoryBackend())
    storage.create_session(Session(id="s"))
    assert storage.append_event(given).payload == {"a": [GONE]}
    assert given == before


def test_common_secrets_are_known_and_what_looks_like_them_is_left() -> None:
    token = "a1B2" * 10
    for name, text, left in cases(
        [
            ("openai_key", f"key={KEY}.", f"key={GONE}."),
            ("anthropic_key", f"sk-ant-api03-{token}", None),
            ("aws_key_id", "AKIAABCDEFGHIJKLMNOP", None),
            ("aws_secret", f'aws_secret_access_key = "{token}"', 'aws_secret_access_key = "[redacted: aws_secret]"'),
            ("github_token", f"ghp_{token}", None),
            ("github_token", f"github_pat_{token}", None),
            ("gitlab_token", f"glpat-{token}", None),
            ("google_key", "AIza" + "x" * 35, None),
            ("slack_token", "xoxb-1234567890-abc", None),
            ("stripe_key", f"sk_live_{token}", None),
            ("json_web_token", "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeKK", None),
            ("bearer_token", f"Authorization: Bearer {token}", "Authorization: Bearer [redacted: bearer_token]"),
            ("url_password", "postgres://ada:sesame@h/db", "postgres://ada:[redacted: url_password]@h/db"),
            ("private_key", "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----", None),
            ("card_number", "card 4111 1111 1111 1111, 05/27", "card [redacted: card_number], 05/27"),
            ("card_number", "378282246310005", None),
            ("card_number", "3782-822463-10005", None),
            ("card_number", "4111 1111 1111 1111 12/27", "[redacted: card_number] 12/27"),
            ("card_number", "4111111111111111 123", "[redacted: card_number] 123"),
            ("card_number", "25 2025 4111 1111 1111 1111 123", "25 2025 [redacted: card_number] 123"),
            ("aws_key_id", r'{"text": "\nAKIAABCDEFGHIJKLMNOP"}', r'{"text": "\n[redacted: aws_key_id]"}'),
            ("aws_secret", f"AwsSecretKey: {token[:39]}/ x", "AwsSecretKey: [redacted: aws_secret] x"),
            ("url_password", "https://ada@b.org:se@same@h", "https://ada@b.org:[redacted: url_password]@h"),
            ("private_key", PEM.format("RSA PRIVATE KEY"), None),
            ("private_key", PEM.format("PGP PRIVATE KEY BLOCK"), None),
        ]
    ):
        event = Event(session_id="s", payload=[text])
        assert secrets(event) == {name: 1}, text
        assert event.payload == [left or f"[redacted: {name}]"]
    for text in cases(
        [
            "4111 1111 1111 1112",  # no valid check digit
            "1732262400000000000",  # nanoseconds
            "b4111111-1111-1111-8111-111111111111",
            "sk-short",
            "https://example.org/a:b@c",
            "a task-force of bearers",
            "-----BEGIN PRIVATE KEY-----" + "a" * 100_000,
            "-----BEGIN PRIVATE KEY-----" * 5_000,
            "eyJaaaaaaaa-" * 20_000,  # which would take minutes, were each beginning followed to the end
            "1234 5678 " * 5_000,
            "41111111-1111-1111-8111-111111111111",
        ]
    ):
        event = Event(session_id="s", payload={"a": text})
        assert secrets(event) == {}, text
        assert event.payload == {"a": text}


def break_time(record: Any) -> dict[str, int]:
    """A hook that leaves what no backend can keep."""
    record.payload = {1: 2}
    return {"broken": 1}


def test_a_hook_that_can_not_be_called_or_breaks_a_record(settings: Any) -> None:
    storage = Storage(MemoryBackend())
    storage.create_session(Session(id="s"))
    for path, problem in cases(
        [
            ("nowhere.hook", "can't be imported: No module named 'nowhere'"),
            ("chronos_storage.redaction.nothing", "can't be imported"),
            ("chronos_storage.redaction._CONTENT", "is no function"),
        ]
    ):
        settings.CHRONOS_STORAGE = {"REDACT": [path]}
        with pytest.raises(ConfigurationError, match=rf'CHRONOS_STORAGE\["REDACT"\]\[0\] names .*{problem}'):
            storage.append_event(Event(session_id="s"))
        assert any(problem in message.msg for message in run_checks(tags=["security"]))
    settings.CHRONOS_STORAGE = {"REDACT": "secrets"}
    with pytest.raises(ConfigurationError, match="must be a list"):
        storage.append_event(Event(session_id="s"))
    settings.CHRONOS_STORAGE = {"REDACT": [f"{__name__}.break_time"]}
    with pytest.raises(InvalidRecord, match="payload"):
        storage.append_event(Event(session_id="s"))
    settings.CHRONOS_STORAGE = {}
    assert storage.list_events("s") == []
    assert json.dumps(storage.append_event(Event(session_id="s", payload=KEY)).payload) == json.dumps(KEY)
