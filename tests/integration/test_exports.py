"""Exports: what goes into a file and comes back out of it, however often both are broken off."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections

from chronos_storage import Storage, upcasters
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.backends.document.serialization import encode_any
from chronos_storage.compat.connections import is_in_memory
from chronos_storage.exceptions import InvalidRecord, NotFound, StoreFailure
from chronos_storage.interfaces.agentx import Persistence
from chronos_storage.operations.agentx import export_agentx
from chronos_storage.operations.chosen import Chosen
from chronos_storage.operations.exporting import Exported, export
from chronos_storage.operations.files import packing_of
from chronos_storage.operations.importing import load_export
from chronos_storage.records import (
    KINDS,
    Artifact,
    AuditLog,
    Checkpoint,
    Container,
    Event,
    Image,
    MemoryRecord,
    Message,
    Session,
    TokenUsage,
    Trace,
    now,
)
from chronos_storage.testing.conformance.helpers import cases
from tests.conftest import ONLY_SQLITE, STRICTEST, each_database
from tests.interfaces.test_agentx import export_data, import_data

SERVERS = each_database(without=["postgres15"])[1:]


def fill(storage: Storage, names: str = "st") -> None:
    """Store some of everything, for a session of each of these names."""
    storage.save_container(Container(id="box", config={"z": 1, "a": [1.5, -0.0, 1e23]}))
    for name in names:
        image = storage.save_image(Image(id=f"image {name}", container_id="box"))
        owner = {"agent_id": f"agent {name}", "user_id": f"user {name}"}
        storage.create_session(Session(id=name, image_id=image.id, metadata={"é": "ü"}, **owner))
        usage = TokenUsage(prompt_tokens=1)
        storage.add_messages([Message(session_id=name, role="user", content=f"{name} {n}", usage=usage) for n in "123"])
        storage.append_events([Event(session_id=name, payload={"n": n, "text": "\x7f€😀"}) for n in range(4)])
        for namespace in ("", "inner"):
            for n in range(3):
                storage.save_checkpoint(Checkpoint(session_id=name, namespace=namespace, state={"list": [*range(n)]}))
        storage.append_audit_log(AuditLog(session_id=name, actor="ada", **owner))
        storage.append_audit_log(AuditLog(actor="ada", **owner))
        storage.insert_trace(Trace(session_id=name, name="span"))
        storage.put_memory(MemoryRecord(session_id=name, key="own", value=1, **owner))
        storage.put_memory(MemoryRecord(key="shared", value=[2], **owner))
        gone = now() - timedelta(days=1)
        storage.put_memory(MemoryRecord(key="expired", kind="long_term", expires_at=gone, **owner))
        for data in (f"bytes of {name}".encode() * 50_000, b"", b"same"):
            storage.put_artifact(Artifact(session_id=name, name="file"), data)
        storage.put_artifact(Artifact(user_id=f"user {name}", name="free"), b"same")


def everything(storage: Storage, *kinds: str) -> dict[str, list[Any]]:
    return {kind: list(storage.scan(kind)) for kind in kinds or KINDS}


def contents(storage: Storage) -> dict[str, str]:
    found = {}
    for artifact in storage.scan("artifact"):
        with storage.open_artifact(artifact.id) as file:
            found[artifact.id] = hashlib.sha256(file.read()).hexdigest()
    return found


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def memory() -> Storage:
    return Storage(MemoryBackend())


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_what_was_exported_comes_back_equal_on_any_store(storage: Storage, tmp_path: Path) -> None:
    source = memory()
    fill(source)
    source.delete_session("t")
    source.create_session(Session(id="fenced", require_fence=True))
    fence = source.acquire("fenced", "worker")
    source.append_event(Event(session_id="fenced"), fence=fence)
    source.put_artifact(Artifact(session_id="fenced", name="n"), b"fenced", fence=fence)
    upcasters.register("shape", 0, lambda value: {"new": value})
    source.append_event(Event(session_id="s", schema="shape", payload={"old": 1}))
    stores = [source, storage, memory()]
    for ending, old, new in zip((".jsonl.gz", ".jsonl.zst"), stores, stores[1:], strict=False):
        path = tmp_path / f"all{ending}"
        exported = export(old, path)
        loaded = load_export(new, path)
        assert (loaded.problem, loaded.broken, loaded.deleted) == ("", [], [])
        assert loaded.new == sum(exported.counts.values()) == loaded.checked.total()
        assert everything(new) == everything(source)
        assert contents(new) == contents(source)
        assert [each.intact for each in new.verify_all()] == [True] * loaded.chains
        again = load_export(new, path)
        assert (again.new, again.counts) == (0, loaded.counts)
    assert {"old": 1} in [event.payload for event in stores[-1].scan("event")]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("alias", each_database(without=["postgres15"]), indirect=True)
def test_lines_that_a_database_gives_are_those_of_the_records(storage: Storage, tmp_path: Path) -> None:
    fill(storage)
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    whole = Trace(session_id="s", cost=Decimal("0.000000100"), started_at=at, ended_at=at, usage=TokenUsage())
    storage.insert_traces([whole, Trace(usage=TokenUsage(total_tokens=0), error='"\\\x01\u2028é😀')])
    part = TokenUsage(completion_tokens=0, cache_read_tokens=10**12)
    for usage in (None, part):
        metadata = {"z": [1, None, True], "a": {"ü": "\n"}}
        message = Message(
            session_id="t", role="user", content=[1e23, -0.0, {}], metadata=metadata, usage=usage, created_at=at
        )
        storage.add_message(message)
    for zeros in range(7):  # which PostgreSQL leaves out at the end
        exact = at.replace(microsecond=123456 // 10**zeros * 10**zeros)
        storage.add_message(Message(session_id="t", role="user", created_at=exact))
    with storage.purge_permit(reason="asked for") as permit:
        permit.erase_events("s", [2])
    export(storage, tmp_path / "all.jsonl")
    found = lines(tmp_path / "all.jsonl")
    for kind in ("message", "event", "audit_log", "trace", "memory"):
        records = [json.loads(encode_any(record, kind)) for record in storage.scan(kind)]
        assert [line for line in found if kind in line] == records
        [page] = storage.backend.lines(KINDS[kind], None) or [[]]
        for number, line in enumerate(page[:3], 1):
            assert json.loads(line[-1]) == records[number - 1]
            [rest] = storage.backend.lines(KINDS[kind], list(storage.scan(kind))[number - 1]) or [[]]
            assert rest == page[number:]


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_what_is_no_json_in_a_row_ends_an_export_and_a_line_is_one_line(storage: Storage, tmp_path: Path) -> None:
    storage.put_memory(MemoryRecord(key="k", value=1))
    with connections[storage.alias].cursor() as cursor:
        cursor.execute("UPDATE chronos_storage_memory SET value = %s", ['{\n "a": 1}'])
        export(storage, tmp_path / "one.jsonl")
        assert next(line for line in lines(tmp_path / "one.jsonl") if "memory" in line)["memory"]["value"] == {"a": 1}
        cursor.execute("UPDATE chronos_storage_memory SET value = %s", ['1,"key":"other"'])
    with pytest.raises(StoreFailure, match="can't be read as JSON"):
        export(storage, tmp_path / "two.jsonl")


def test_the_json_of_agentx_is_what_its_own_script_writes(tmp_path: Path) -> None:
    source, target = memory(), memory()
    fill(source, "st\n")
    source.add_message(Message(session_id="s", kind="tool-call", role="assistant", content={"é": "\u2028"}))
    source.create_session(Session(id="silent"))
    source.delete_session("t")
    export_agentx(source, tmp_path / "all.json", progress=lambda report: None)
    written = json.loads((tmp_path / "all.json").read_bytes())

    def in_order(exported: dict[str, Any]) -> dict[str, Any]:
        return {name: sorted(each, key=str) if isinstance(each, list) else each for name, each in exported.items()}

    assert in_order(written) == in_order(async_to_sync(export_data)(Persistence(source)))
    async_to_sync(import_data)(Persistence(target), written)
    assert [message.content for message in target.list_messages("s")] == [
        message.content for message in source.list_messages("s")
    ]
    export_agentx(source, tmp_path / "one.json", Chosen(session="s"))
    one = json.loads((tmp_path / "one.json").read_bytes())
    assert [[each["sessionId"] for each in one["sessions"]], [*one["messages"]], len(one["images"])] == [
        ["s"],
        ["s"],
        1,
    ]
    with pytest.raises(InvalidRecord, match="AgentX reads plain JSON"):
        export_agentx(source, tmp_path / "all.json.gz")


def test_what_a_purge_left_of_a_chain_comes_back_and_goes_on(tmp_path: Path) -> None:
    source, target = memory(), memory()
    fill(source)
    with source.purge_permit(reason="old") as permit:
        permit.purge_events("s", through_seq=2)
        permit.purge_events("t")
        permit.purge_audit_logs("s")
    export(source, tmp_path / "all.jsonl")
    assert load_export(target, tmp_path / "all.jsonl").problem == ""
    assert everything(target) == everything(source)
    assert list(target.chain_heads()) == list(source.chain_heads())
    assert [target.append_event(Event(session_id=id)).seq_num for id in "st"] == [5, 5]
    assert load_export(target, tmp_path / "all.jsonl").new == 0
    assert all(verdict.intact for verdict in target.verify_all())


def test_an_export_holds_what_belongs_to_the_sessions_that_were_chosen(tmp_path: Path) -> None:
    source = memory()
    fill(source)
    source.create_session(Session(id="old", agent_id="agent s", created_at=now() - timedelta(days=9)))
    source.put_memory(MemoryRecord(agent_id="agent s", user_id="user t", key="of both"))
    before = now() - timedelta(days=1)
    for number, (chosen, sessions, chains, keys, names) in enumerate(
        cases(
            [
                (Chosen(session="s"), {"s"}, {"s"}, {"own"}, {"file"}),
                (Chosen(agent="agent s"), {"s", "old"}, {"s", ""}, {"own", "shared", "expired", "of both"}, {"file"}),
                (
                    Chosen(agent="agent s", since=before),
                    {"s"},
                    {"s", ""},
                    {"own", "shared", "expired", "of both"},
                    {"file"},
                ),
                (Chosen(user="user s"), {"s"}, {"s"}, {"own", "shared", "expired"}, {"file", "free"}),
                (Chosen(since=before), {"s", "t"}, {"s", "t"}, {"own"}, {"file"}),
            ]
        )
    ):
        path = tmp_path / f"{number}.jsonl"
        export(source, path, chosen)
        target = memory()
        assert load_export(target, path).problem == ""
        found = everything(target)
        assert {each.id for each in found["session"]} == sessions
        assert {each.session_id for each in found["audit_log"]} == chains
        assert {each.key for each in found["memory"]} == keys
        assert {each.name for each in found["artifact"]} == names
        filled = sessions - {"old"}
        assert {each.id for each in found["image"]} == {f"image {name}" for name in filled}
        for kind in ("message", "event", "checkpoint", "trace"):
            assert found[kind] == [each for each in source.scan(kind) if each.session_id in filled]
    with pytest.raises(NotFound, match="no such session 'nothing'"):
        export(source, tmp_path / "none.jsonl", Chosen(session="nothing"))
    with pytest.raises(InvalidRecord, match="is empty"):
        Chosen(user="")


def test_a_file_that_is_not_as_it_was_written_is_refused_and_nothing_is_loaded(tmp_path: Path) -> None:
    source = memory()
    fill(source, "s")
    path, broken = tmp_path / "all.jsonl", tmp_path / "broken.jsonl"
    export(source, path)
    good = path.read_bytes().splitlines(keepends=True)
    [first] = [at for at, line in enumerate(good) if line.startswith(b'{"event"') and b'"seq_num":1,' in line]
    last = len(good)

    def resealed(lines: list[bytes]) -> list[bytes]:
        """As somebody would write them who makes the manifest anew."""
        manifest = json.loads(good[-1])
        counts = {kind: sum(line.startswith(b'{"%s"' % kind.encode()) for line in lines) for kind in KINDS}
        digest = hashlib.sha256(b"".join(lines)).hexdigest()
        manifest["manifest"] |= {
            "counts": {k: n for k, n in counts.items() if n},
            "lines": len(lines),
            "sha256": digest,
        }
        return [*lines, json.dumps(manifest).encode() + b"\n"]

    event = json.loads(good[first])["event"]
    changed = json.dumps({"event": {**event, "payload": "other"}}).encode() + b"\n"
    another = json.dumps({"event": {**event, "session_id": "z"}}).encode() + b"\n"
    piece = next(at for at, line in enumerate(good) if line.startswith(b'{"bytes"'))
    other = json.dumps({"bytes": [json.loads(good[piece])["bytes"][0], "AAAA"]}).encode() + b"\n"
    for name, text, line, problem in cases(
        [
            ("truncated", good[:-1], last, "manifest: is missing"),
            ("cut in a line", [*good[:4], good[4][:9]], 5, "is cut off"),
            ("a line too few", good[:first] + good[first + 1 :], first + 1, "seq_num: is 2; the chain goes on with 1"),
            ("a record too few", [*good[:2], *good[3:]], last - 1, "manifest.lines"),
            ("changed", [*good[:first], changed, *good[first + 1 :]], first + 1, "hash: of number 1 doesn't continue"),
            ("another byte", [*good[:1], good[1].replace(b"active", b"paused"), *good[2:]], last, "manifest.sha256"),
            (
                "reordered",
                [*good[:first], good[first + 1], good[first], *good[first + 2 :]],
                first + 1,
                "seq_num: is 2",
            ),
            ("reordered kinds", [*good[:1], good[first], *good[1:]], 2, "session_id: is 's', a session that the file"),
            ("no JSON", [*good[:2], b"{\n", *good[3:]], 3, "line: is no JSON"),
            ("no object", [*good[:2], b"[]\n", *good[3:]], 3, "is no object with one key"),
            ("a field too many", [*good[:1], b'{"session":{"more":1}}\n'], 2, "session: has other fields"),
            ("not UTF-8", [*good[:1], b"\xff\n"], 2, "line: is no JSON"),
            ("another kind", [*good[:1], b'{"secret":{}}\n'], 2, "says nothing of 'secret'"),
            ("foreign", [b'{"messages":[]}\n'], 1, "is not the first line of what chronos_export writes"),
            ("of a later version", [b'{"chronos":{"version":2}}\n'], 1, "version: is 2; this version reads 1"),
            ("empty", [], 1, "manifest: is missing"),
            ("more after it", [*good, good[1]], last + 1, "stands after the manifest"),
            ("changed and sealed", resealed([*good[:first], changed, *good[first + 1 : -1]]), first + 1, "hash: of"),
            (
                "no such session",
                resealed([*good[:first], another, *good[first:-1]]),
                first + 1,
                "is 'z', a session that",
            ),
            (
                "other bytes",
                resealed([*good[:piece], other, *good[piece + 1 : -1]]),
                None,
                "are not those of its SHA-256",
            ),
        ]
    ):
        broken.write_bytes(b"".join(text))
        target = memory()
        with pytest.raises(InvalidRecord) as refused:
            load_export(target, broken)
        assert problem in str(refused.value), name
        assert line is None or refused.value.field == f"broken.jsonl:{line}", name
        assert not any(everything(target).values())
    packed = tmp_path / "broken.jsonl.gz"
    for data in (gzip.compress(path.read_bytes())[:-9], path.read_bytes()):
        packed.write_bytes(data)
        with pytest.raises(InvalidRecord, match="can't be unpacked"):
            load_export(memory(), packed)


class Broken(Exception):
    pass


def breaking(count: int) -> Callable[[object], None]:
    """What breaks work off at its step of this number."""

    def step(report: object) -> None:
        nonlocal count
        count -= 1
        if count < 0:
            raise Broken

    return step


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_what_is_broken_off_anywhere_is_gone_on_with(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chronos_storage.operations.files._MEMBER", 2000)
    source, whole = memory(), tmp_path / f"whole{ending}"
    fill(source)
    total = export(source, whole).counts.total()
    for chosen in cases([Chosen(), Chosen(user="user s"), Chosen(agent="agent t")]):
        target, path = memory(), tmp_path / f"{chosen.user}{chosen.agent}{ending}"
        is_continued = False
        for step in range(0, 2 * total, 7):
            try:
                report = export(source, path, chosen, progress=breaking(step))
            except Broken:
                part = path.with_name(f"{path.name}.part")
                data = part.read_bytes()
                part.write_bytes(data[: len(data) - random.randrange(20)])  # as if it was killed while writing
                continue
            is_continued = report.continued
            break
        assert is_continued
        assert not report.snapshot
        while True:
            try:
                load_export(target, path, progress=breaking(random.randrange(2 * total)))
            except Broken:
                continue
            break
        other = memory()
        export(source, once := tmp_path / f"once {path.name}", chosen)
        load_export(other, once)
        assert everything(target) == everything(other)
        assert contents(target) == contents(other)


def test_a_part_is_gone_on_with_by_the_same_export_alone(tmp_path: Path) -> None:
    source = memory()
    fill(source)
    path = tmp_path / "all.jsonl"
    with pytest.raises(Broken):
        export(source, path, progress=breaking(20))
    with pytest.raises(InvalidRecord, match="part of another export"):
        export(source, path, Chosen(session="s"))

    def meanwhile(report: Exported) -> None:
        with pytest.raises(InvalidRecord, match="is being written by another process"):
            export(source, path)

    export(source, path, progress=meanwhile)
    with pytest.raises(InvalidRecord, match="is there already"):
        export(source, path)


def test_series_end_where_they_did_at_the_start(tmp_path: Path) -> None:
    source = memory()
    fill(source)

    def write(report: Exported) -> None:
        if report.counts["image"] == 1 and not report.counts["message"]:
            source.create_session(Session(id="later"))
            for id in ("s", "later"):
                source.append_event(Event(session_id=id))
                source.add_message(Message(session_id=id, role="user"))
                source.save_checkpoint(Checkpoint(session_id=id))
                source.append_audit_log(AuditLog(session_id=id))

    before = everything(source, "event", "message", "checkpoint", "audit_log")
    path = tmp_path / "all.jsonl"
    assert not export(source, path, progress=write).snapshot
    target = memory()
    load_export(target, path)
    assert everything(target, *before) == before
    manifest = lines(path)[-1]["manifest"]
    assert manifest["snapshot"] is False
    assert manifest["began_at"] < manifest["ended_at"]


@pytest.mark.parametrize("alias", each_database(without=["postgres15"], transaction=True), indirect=True)
def test_an_uninterrupted_export_of_a_database_is_one_moment(
    alias: str, storage: Storage, tmp_path: Path, settings: Any
) -> None:
    fill(storage, "s")
    is_snapshot = connections[alias].vendor != "sqlite" or not is_in_memory(connections[alias])
    before = everything(storage)

    def write() -> None:
        try:
            storage.create_session(Session(id="later"))
            storage.patch_session("s", title="changed")
            storage.put_memory(MemoryRecord(agent_id="agent s", user_id="user s", key="shared", value="changed"))
            storage.append_event(Event(session_id="s"))
        finally:
            connections.close_all()

    def meanwhile(report: Exported) -> None:
        if report.counts["image"] == 1 and not report.counts["message"]:
            writer = threading.Thread(target=write)
            writer.start()
            writer.join(60)
            assert not writer.is_alive()

    report = export(storage, tmp_path / "all.jsonl", progress=meanwhile)
    assert report.snapshot is is_snapshot is lines(tmp_path / "all.jsonl")[-1]["manifest"]["snapshot"]
    assert storage.get_session("later") is not None
    target = memory()
    load_export(target, tmp_path / "all.jsonl")
    if is_snapshot:
        assert everything(target) == before


def test_what_was_deleted_or_changed_here_stays_so_unless_it_is_to_be_restored(tmp_path: Path) -> None:
    source, target = memory(), memory()
    fill(source)
    path = tmp_path / "all.jsonl"
    export(source, path)
    load_export(target, path)
    target.delete_session("s")
    target.patch_session("t", title="changed")
    target.append_event(Event(session_id="t"))
    report = load_export(target, path)
    assert (report.new, report.deleted, report.restored, report.problem) == (0, ["s"], 0, "")
    assert target.get_session("s") is None
    report = load_export(target, path, restore=True)
    assert (report.deleted, report.restored) == (["s"], 1)
    assert [target.get_session(id).title for id in "st"] == ["", "changed"]
    assert target.count_events("t") == 5


@pytest.mark.usefixtures("garbage_goes_soon")
def test_memory_is_flat(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        source, path = memory(), tmp_path / f"{count}.jsonl.gz"
        source.create_session(Session(id="s"))
        for _ in range(count):
            source.add_messages([Message(session_id="s", role="user", content="x" * 20_000) for _ in range(50)])
        tracemalloc.start()
        export(source, path)
        for _ in read_through(path):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = peak(8), peak(32)  # of 8 and 32 MB
    assert many < 1.25 * few


def read_through(path: Path) -> Iterator[object]:
    from chronos_storage.operations.checking import check

    with path.open("rb") as file:
        yield from check(file, path)


def test_what_unpacks_to_one_endless_line_is_refused_in_flat_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chronos_storage.operations.files.MAX_LINE", 1 << 20)
    for ending in (".gz", ".zst"):
        path = tmp_path / f"bomb{ending}"
        packing = packing_of(path)
        assert packing is not None
        packer, piece = packing.packer(), b"a" * (1 << 20)
        path.write_bytes(b"".join([*(packer.compress(piece) for _ in range(150)), packer.flush()]))
        tracemalloc.start()
        with pytest.raises(InvalidRecord, match=r"bomb\.\w+:1: is cut off"):
            load_export(memory(), path)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
        tracemalloc.stop()


def test_a_file_that_changes_while_it_is_read_is_not_loaded(tmp_path: Path) -> None:
    source, path = memory(), tmp_path / "all.jsonl"
    fill(source)
    export(source, path)
    other = memory()
    other.create_session(Session(id="other"))
    export(other, tmp_path / "other.jsonl")
    os.utime(path, (0, 0))
    records = len(path.read_bytes().splitlines()) // 2

    def then(change: Callable[[], object]) -> Callable[[Any], None]:
        """Makes a change in the middle of the first pass."""
        changes = [change]

        def show(report: Any) -> None:
            if report.checked.total() == records and changes:
                changes.pop()()

        return show

    def write() -> None:
        with path.open("r+b") as file:
            file.write(b'{"session"')

    target = memory()
    with pytest.raises(InvalidRecord, match=r"all\.jsonl: was written to while it was read"):
        load_export(target, path, progress=then(write))
    assert list(target.scan("session")) == []
    path.unlink()
    export(source, path)
    # Another file of its name is another file.
    load_export(target, path, progress=then(lambda: (tmp_path / "other.jsonl").replace(path)))
    assert everything(target) == everything(source)


KILLED = """
import signal, sys, django
from django.conf import settings
settings.configure(INSTALLED_APPS=["chronos_storage"], USE_TZ=True, MEDIA_ROOT=sys.argv[2])
django.setup()
from pathlib import Path
from chronos_storage import connect
from chronos_storage.operations import exporting, importing
storage = connect(sys.argv[1])
steps = int(sys.argv[5])
def tell(report):
    global steps
    steps -= 1
    if not steps:
        print("here", flush=True)
        signal.pause()
if sys.argv[3] == "export":
    exporting.export(storage, Path(sys.argv[4]), progress=tell)
else:
    importing.load_export(storage, Path(sys.argv[4]), progress=tell)
"""


def test_killed_processes_leave_what_another_goes_on_with(tmp_path: Path, other_databases: None) -> None:
    from chronos_storage import connect

    source = memory()
    source.create_session(Session(id="s"))
    source.append_events([Event(session_id="s", payload="x" * 100) for _ in range(2100)])
    export(source, seed := tmp_path / "seed.jsonl")
    path = tmp_path / "all.jsonl.gz"

    def kill(work: str, database: str, file: Path, step: int) -> None:
        """Have a process killed at its step of this number."""
        arguments = [str(tmp_path / database), str(tmp_path), work, str(file), str(step)]
        with subprocess.Popen([sys.executable, "-c", KILLED, *arguments], stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stdout.readline() == b"here\n"
            process.kill()

    first = connect(str(tmp_path / "one.db"), migrate=True)
    kill("import", "one.db", seed, len(lines(seed)) + random.randrange(1, 4))  # within the second of its passes
    assert 0 < first.count_events("s") <= 2100
    load_export(first, seed)
    kill("export", "one.db", path, random.randrange(1, 21))  # a hundred records a step
    assert not path.exists()
    report = export(first, path)
    target = memory()
    load_export(target, path)
    assert everything(target) == everything(source) == everything(first)
    assert report.counts == {"session": 1, "event": 2100}


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_the_commands_export_and_import(storage: Storage, command: Any, tmp_path: Path) -> None:
    fill(storage)
    path = tmp_path / "user.jsonl.zst"
    ran = command("chronos_export", path, user="user s", since="2020-01-01", json=True)
    report = json.loads(ran.stdout)
    assert (ran.status, report["counts"]["event"], report["name"]) == (0, 4, str(path))
    storage.delete_session("s")
    ran = command("chronos_import", path, format="chronos")
    assert ran.status == 0
    assert ran.stdout.splitlines()[0] == "session 's' is deleted here; --restore brings it back"
    assert ", 0 of them new, 1 deleted here. Chains: 2 verified, 0 broken." in ran.stdout
    assert (
        json.loads(command("chronos_import", path, format="chronos", restore=True, json=True).stdout)["restored"] == 1
    )
    for options in cases([{}, {"all": True, "user": "x"}, {"since": "yesterday"}]):
        assert command("chronos_export", tmp_path / "other", **options).status == 1
    for options in cases([{"format": "chronos", "user_id": "x"}, {"restore": True}]):
        assert command("chronos_import", path, **options).status == 1
