"""Signed heads: what they show of a ledger that was cut off or written anew, and proofs of single rows."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.files.storage import storages as file_storages
from django.db import connections

from chronos_storage import Storage
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.chains import merkle
from chronos_storage.exceptions import InvalidRecord, NotFound
from chronos_storage.ledger.permit import permit
from chronos_storage.operations import anchors
from chronos_storage.operations.anchor_checks import Compared, compare
from chronos_storage.operations.anchor_proofs import check_proof, prove
from chronos_storage.records import AuditLog, Event, Session
from chronos_storage.testing.conformance.helpers import cases
from tests.conftest import ONLY_SQLITE

KEY = Ed25519PrivateKey.generate()
#: What can just be read.
DEEP = b"[" * 900 + b"]" * 900


def filled() -> Storage:
    storage = Storage(MemoryBackend())
    for session_id in ("s", "t"):
        storage.create_session(Session(id=session_id))
        payloads: tuple[Any, ...] = ({"é": [1.5, -0.0, 1e23]}, None, "x", 4, {})
        storage.append_events([Event(session_id=session_id, payload=payload) for payload in payloads])
    storage.append_audit_log(AuditLog(session_id="s", actor="ada"))
    storage.append_audit_log(AuditLog(agent_id="a", actor="ada"))
    return storage


def anchored(storage: Storage) -> list[bytes]:
    file = io.BytesIO()
    anchors.anchor(storage, KEY, file.write)
    return file.getvalue().splitlines(keepends=True)


def compared(storage: Storage, lines: list[bytes]) -> Compared:
    return compare(storage, anchors.read_anchor(lines, KEY.public_key()))


def test_a_store_is_what_was_anchored_while_it_goes_on() -> None:
    storage = filled()
    lines = anchored(storage)
    storage.append_event(Event(session_id="s"))
    report = compared(storage, lines)
    assert (report.heads, report.broken, report.problem) == (4, [], "")
    assert str(report) == "Heads: 4 compared, 0 broken."


def test_a_ledger_written_anew_or_cut_off_is_found_and_what_was_said_to_go_is_not() -> None:
    lines, other = anchored(filled()), filled()
    # Other ids and times: each chain is intact, but none is the one that was anchored.
    assert {each["problem"] for each in compared(other, lines).broken} == {
        "number 5 is another row than was anchored",
        "number 1 is another row than was anchored",
    }
    short = Storage(MemoryBackend())
    short.load([each for kind in ("session", "event") for each in other.scan(kind) if getattr(each, "seq_num", 0) < 4])
    broken = {each["chain"]: each["problem"] for each in compared(short, anchored(other)).broken}
    assert broken["s"] == "ends with number 3; number 5 was anchored"
    assert broken["agent:a"] == "ends with number 0; number 1 was anchored"

    lines = anchored(other)
    for number in (2, 5, 6):
        with other.purge_permit(reason="old") as opened:
            opened.purge_events("s", through_seq=number)
        other.append_event(Event(session_id="s"))
    other.append_audit_log(AuditLog(action="ledger.purge"))  # which says nothing
    other.delete_session("t", hard=True)
    report = compared(other, lines)
    assert (report.purged, report.deleted, report.broken) == (1, 1, [])
    assert str(report) == "Heads: 4 compared, 1 purged since, 1 deleted since, 0 broken."


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_what_the_audit_log_does_not_say_went_was_cut_off(storage: Storage) -> None:
    storage.create_session(Session(id="s"))
    storage.append_events([Event(session_id="s") for _ in range(3)])
    lines = anchored(storage)
    with permit(storage.alias) as opened:  # as an owner can delete, who moves the base of the chain too
        opened.purge_events("s")
    assert compared(storage, lines).broken == [
        {
            "kind": "event",
            "chain": "s",
            "problem": "begins after number 3, and no audit entry says that number 3 was purged",
        }
    ]


def test_the_deletion_of_a_session_says_nothing_of_chains_that_are_named_alike() -> None:
    storage, empty = Storage(MemoryBackend()), Storage(MemoryBackend())
    ids = ("session:s", "agent:a", "é\n" * 120)
    for store in (storage, empty):
        for session_id in ("s", *ids):
            store.create_session(Session(id=session_id))
    for session_id in ids:
        storage.append_event(Event(session_id=session_id))
        storage.append_audit_log(AuditLog(agent_id="a" if session_id == "agent:a" else "b" * 255))
    lines = anchored(storage)
    assert compared(storage, lines).broken == []
    empty.delete_session("s", hard=True)
    empty.delete_session("agent:a", hard=True)
    report = compared(empty, lines)
    assert report.deleted == 1  # the events of the session "agent:a"
    assert {each["chain"] for each in report.broken} == {"session:s", "é\n" * 120, "agent:a", "agent:" + "b" * 255}
    assert compared(storage, lines).broken == []
    for session_id in ids:
        storage.delete_session(session_id, hard=True)
    report = compared(storage, lines)
    assert (report.deleted, report.broken) == (3, [])


def test_what_was_erased_is_not_taken_for_rewritten_and_proofs_go_as_far_as_they_can() -> None:
    storage = filled()
    storage.append_event(Event(session_id="s", id="by name"))
    lines = anchored(storage)
    with storage.purge_permit(reason="asked to") as permit:
        permit.erase_audit_logs(agent_id="a", seq_nums=[1])
        permit.erase_events("s", [4, 6])
    storage.erase_session("t")
    report = compared(storage, lines)
    assert (report.deleted, report.broken) == (1, [])
    found = anchors.read_anchor(lines, KEY.public_key())
    proof = prove(storage, found, "audit_log", "agent:a", 1)
    assert check_proof(proof, KEY.public_key())["actor"] == ""
    proof["row"]["actor"] = "ben"  # which its digest says nothing of
    assert refuses(partial(check_proof, proof, KEY.public_key()))
    with pytest.raises(NotFound, match="number 6 was erased with its id"):
        prove(storage, found, "event", "s", 3)


def test_a_file_that_is_not_as_it_was_signed_is_refused() -> None:
    lines = anchored(filled())
    other = Ed25519PrivateKey.generate().public_key()
    for name, changed, key in cases(
        [
            ("a head is gone", lines[1:], None),
            ("a head is changed", [lines[0].replace(b'"seq_num":5', b'"seq_num":4'), *lines[1:]], None),
            ("heads in another order", [lines[1], lines[0], *lines[2:]], None),
            ("no signature", lines[:-1], None),
            ("signed by another", lines, other),
            ("another time", [*lines[:-1], lines[-1].replace(b'"created_at":"2', b'"created_at":"1')], None),
            ("more after it", [*lines, lines[0]], None),
            ("no JSON", [b"{", *lines], None),
            ("no object", [b"[]\n", *lines], None),
            ("of no version", [*lines[:-1], b'{"signature":"00"}\n'], None),
            ("nothing", [], None),
            ("too deep", [b"[" * 100_000], None),
            (
                "too deep to be signed",
                [b'{"signature":"","anchor":1,"heads":0,"root":"","created_at":%b}' % DEEP],
                None,
            ),
        ]
    ):
        assert refuses(partial(anchors.read_anchor, changed, key or KEY.public_key())), name


def refuses(call: Callable[[], object]) -> bool:
    try:
        call()
    except InvalidRecord as error:
        return error.field in ("anchor", "proof")
    return False


def test_a_row_is_proved_to_whoever_has_the_public_key() -> None:
    storage = filled()
    found = anchors.read_anchor(anchored(storage), KEY.public_key())
    storage.append_event(Event(session_id="s"))  # after the anchor, which says nothing of it
    for kind, chain, number in (("event", "s", 1), ("event", "s", 5), ("event", "t", 2), ("audit_log", "agent:a", 1)):
        proof = json.dumps(prove(storage, found, kind, chain, number))
        row = check_proof(json.loads(proof), KEY.public_key())
        [stored] = storage.list_chain(kind, chain, number - 1, limit=1)
        assert (row["id"], row["hash"]) == (stored.id, stored.hash)
        for name, change in cases(CHANGES.items()):
            changed = json.loads(proof)
            change(changed)
            assert refuses(partial(check_proof, changed, KEY.public_key())), name
    with storage.purge_permit(reason="old") as permit:
        permit.purge_events("s", through_seq=2)
    check_proof(prove(storage, found, "event", "s", 3), KEY.public_key())
    for number in (0, 2, 6):
        with pytest.raises(NotFound):
            prove(storage, found, "event", "s", number)


#: What makes another proof of one.
CHANGES: dict[str, Callable[[Any], object]] = {
    "the content of an event": lambda proof: proof["row"].update(payload={"other": 1}, detail={"other": 1}),
    "the time": lambda proof: proof["row"].update(created_at="2001-01-01T00:00:00+00:00"),
    "the chain": lambda proof: proof["head"].update(chain="u"),
    "the number": lambda proof: proof["row"].update(seq_num=9),
    "what came before": lambda proof: proof.update(previous="1" * 64),
    "what came after": lambda proof: proof["after"].append(["x", "00" * 32]),
    "the place": lambda proof: proof.update(index=proof["index"] ^ 1),
    "what is not hashed": lambda proof: proof["row"].update(more="x"),
    "a type": lambda proof: proof["row"].update(schema_version="0", actor=None),
    "a field": lambda proof: proof["row"].pop("created_at"),
    "a field with a default": lambda proof: proof["row"].pop("schema" if "schema" in proof["row"] else "user_id"),
    "how a time is written": lambda proof: proof["row"].update(
        created_at=proof["row"]["created_at"].replace("+00:00", "Z")
    ),
    "what is too deep": lambda proof: proof.update(head=json.loads(DEEP)),
    "the way": lambda proof: proof["path"].pop(),
    "the root": lambda proof: proof.update(root="0" * 64),
    "the signature": lambda proof: proof.pop("signature"),
    "no object": lambda proof: proof.update(head=None),
}


def test_the_tree_is_that_of_certificate_transparency() -> None:
    # The roots over the first n of these entries, as that project's own tests have them.
    entries = [bytes.fromhex(each) for each in ("", "00", "10", "2021", "3031", "40414243")]
    leaves = [merkle.leaf(each) for each in entries]
    roots = (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    )
    for count, expected in enumerate(roots):
        some = leaves[:count]
        assert merkle.root(some).hex() == expected
        for index in range(count):
            way = merkle.path(some, index)
            assert merkle.root_by(way, some[index], index, count) == bytes.fromhex(expected)
            assert merkle.root_by([*way, way[-1]] if way else [b""], some[index], index, count) is None


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """The files of the private and the public key."""
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    none, form = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8
    private.write_bytes(KEY.private_bytes(serialization.Encoding.PEM, form, none))
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(KEY.public_key().public_bytes(serialization.Encoding.PEM, info))
    return private, public


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_the_command(storage: Storage, command: Any, keys: tuple[Path, Path], tmp_path: Path, settings: Any) -> None:
    private, public = keys
    storage.create_session(Session(id="s"))
    storage.append_events([Event(session_id="s", payload=number) for number in range(3)])
    out = tmp_path / "anchor.jsonl"
    ran = command("chronos_anchor", "write", "--key", private, "--out", out)
    assert (ran.status, ran.stdout) == (0, f"Heads: 1 anchored in {out}.\n")
    assert command("chronos_anchor", "write", "--key", private, "--out", out).status == 1  # it is there already
    assert command("chronos_anchor", "check", out, "--public-key", public).stdout == "Heads: 1 compared, 0 broken.\n"
    proof = tmp_path / "proof.json"
    proof.write_text(
        command("chronos_anchor", "prove", out, "--public-key", public, "--session", "s", "--number", 2).stdout
    )
    row = command("chronos_anchor", "check-proof", proof, "--public-key", public, json=True)
    assert json.loads(row.stdout)["payload"] == 1
    wrong = command("chronos_anchor", "check", out, "--public-key", private)
    assert (wrong.status, wrong.stderr) == (1, f"public_key: {private} has no Ed25519 public key, in PEM\n")
    storage.delete_session("s", hard=True)
    storage.create_session(Session(id="s"))
    assert command("chronos_anchor", "check", out, "--public-key", public).status == 0
    connections[storage.alias].cursor().execute("DELETE FROM chronos_storage_head")

    # By the settings alone, into a file storage.
    missing = command("chronos_anchor", "write")
    assert (missing.status, missing.stderr.split(" is not set")[0]) == (1, 'CHRONOS_STORAGE["ANCHORS"]["KEY"]')
    settings.STORAGES = {**settings.STORAGES, "kept": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    settings.CHRONOS_STORAGE = {**settings.CHRONOS_STORAGE, "ANCHORS": {"KEY": str(private), "STORAGE": "kept"}}
    name = json.loads(command("chronos_anchor", "write", json=True).stdout)["name"]
    with file_storages["kept"].open(name) as file:
        anchors.read_anchor(file, KEY.public_key())
