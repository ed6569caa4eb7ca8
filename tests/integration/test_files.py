"""Records in files: what a person finds there, and may do with them."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chronos_storage import Storage, connect
from chronos_storage.backends.document import Document, Entry, Write
from chronos_storage.backends.document.filesystem import FilesystemBackend, FilesystemDriver, disk
from chronos_storage.backends.document.filesystem.names import name_of
from chronos_storage.exceptions import ConfigurationError, NotFound, StoreFailure
from chronos_storage.records import AuditLog, Checkpoint, Event, Image, MemoryRecord, Message, Session, Trace

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def storage(folder: Path) -> Iterator[Storage]:
    with closing(connect(folder.as_uri())) as storage:
        storage.create_session(Session(id="s", title="A talk"))
        yield storage


def files_in(folder: Path) -> set[str]:
    """All files but those that can be made anew."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {path for path in paths if not path.startswith(".chronos/")}


def edit(path: Path, **changes: Any) -> None:
    """What a person does with an editor."""
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes, indent=4), encoding="utf-8")


def again(folder: Path) -> Storage:
    """The storage as another process finds it, after `migrate`."""
    return connect(folder.as_uri(), migrate=True)


# What is where


def test_a_person_finds_what_belongs_together(storage: Storage, folder: Path) -> None:
    storage.add_messages([Message(id=f"m-{n}", session_id="s", role="user", content=f"{n}") for n in range(2)])
    storage.append_event(Event(id="e", session_id="s", payload={"n": 1}))
    storage.save_checkpoint(Checkpoint(id="c", session_id="s", state={"a": 1}))
    storage.save_checkpoint(Checkpoint(id="c2", session_id="s", namespace="sub", state={}))
    storage.append_audit_log(AuditLog(id="l", session_id="s", action="open"))
    storage.append_audit_log(AuditLog(id="l2", agent_id="a", action="start"))
    storage.insert_trace(Trace(id="t", session_id="s", started_at=storage.get_session("s").created_at))
    storage.put_memory(MemoryRecord(id="r", agent_id="a", key="likes", value=["tea"]))
    storage.save_image(Image(id="i", name="Ada"))
    started = json.loads((folder / "sessions/s/session.json").read_text())["created_at"][:19]
    assert files_in(folder) == {
        "chronos.json",
        "sessions/s/session.json",
        "sessions/s/messages/000001-m-0.json",
        "sessions/s/messages/000002-m-1.json",
        "sessions/s/events/000001-e.json",
        "sessions/s/checkpoints/000001-c.json",
        "sessions/s/namespaces/sub/checkpoints/000001-c2.json",
        "sessions/s/namespaces/sub/heads/checkpoints.json",
        "sessions/s/audit_logs/000001-l.json",
        f"sessions/s/traces/{started.replace('T', '_').replace(':', '')}-t.json",
        *(f"sessions/s/heads/{name}.json" for name in ("messages", "events", "checkpoints", "audit_logs")),
        "agents/a/audit_logs/000001-l2.json",
        "agents/a/heads/audit_logs.json",
        "agents/a/memories/likes=r.json",
        "images/i.json",
    }
    text = (folder / "sessions/s/events/000001-e.json").read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=2) + "\n"
    assert json.loads(text)["payload"] == {"n": 1}
    storage.delete_session("s", hard=True)
    assert not (folder / "sessions").exists()


def test_a_document_that_is_no_record_comes_back_to_the_letter(folder: Path) -> None:
    """Numbers as they are written, spaces, escapes, the order of keys, and what is no JSON at all."""
    bodies = ['{"b": 1.50, "a":1E5}', '"\\u00e9"', "\u00e9", "", "no json", '{"id":"x"}', '{"document":[]}', "[" * 5000]
    with closing(FilesystemDriver(folder)) as driver:
        for kind in ("session", "head", "more"):
            keys = [(kind, str(number)) for number in range(len(bodies))]
            entries = (Entry(("p", "\u00e9/"), "\x00"),)
            writes = [Write(key, None, Document(key, body, entries)) for key, body in zip(keys, bodies, strict=True)]
            assert driver.commit(writes)
    with closing(FilesystemDriver(folder)) as driver:
        driver.prepare()
        found = driver.read([("more", str(number)) for number in range(len(bodies))])
        assert [document.body for document in found.values()] == bodies
        assert {document.entries for document in found.values()} == {entries}


def test_any_string_is_a_name_of_its_own(storage: Storage, folder: Path) -> None:
    strings = [
        *("", ".", "..", "a.", ".a", "a ", " a", "x", "X", "\u00e9", "e\u0301", "../../etc/passwd", "/", "\\", "C:\\a"),
        *("con", "CON", "con.txt", "nul", "com1.a.b", "conf", "a:b", "a?*<>|\"'", "%41", "+a", "%", "~1", "\n", "\x01"),
        *(
            "\U0001f642" * 255,
            "\U0001f642" * 254,
            "X" * 255,
            "x" * 255,
            "1e5",
            "-rf",
            "session.json",
            "\u0130",
            "\u0131",
        ),
    ]
    names = [name_of(string) for string in strings]
    assert len({name.casefold() for name in names}) == len(strings)
    for name in names:
        assert len(name.encode()) <= 160
        assert name.isascii()
        assert not set(name) & set('/\\:*?"<>|\0 ~')
        assert name[0] != "." != name[-1]
        assert name.partition(".")[0] not in ("con", "nul", "com1")
    ids = [string for string in strings if string]
    for id in ids:
        storage.create_session(Session(id=id))
        storage.add_message(Message(id=id, session_id=id, role="user", content=id))
        storage.put_memory(MemoryRecord(id=id, agent_id=id, key=id, value=id))
    with closing(again(folder)) as later:
        assert {session.id for session in later.list_sessions(limit=None)} == {"s", *ids}
        assert [later.list_messages(id)[0].content for id in ids] == ids
        assert [later.get_memory(id, id).value for id in ids] == ids
    assert {path.name for path in folder.parent.iterdir()} == {"data"}


def test_files_are_the_owners_alone(storage: Storage, folder: Path) -> None:
    storage.add_message(Message(session_id="s", role="user", content="secret"))
    for path in [folder, *folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


# What a person may do


def test_what_is_edited_is_found_as_it_is_now(storage: Storage, folder: Path) -> None:
    storage.add_messages([Message(id=f"m-{n}", session_id="s", role="user", content=f"{n}") for n in range(3)])
    storage.put_memory(MemoryRecord(id="r", agent_id="a", key="likes", value=1))
    edit(folder / "sessions/s/session.json", title="Another", user_id="ada")
    edit(folder / "sessions/s/messages/000002-m-1.json", content="edited")
    edit(folder / "agents/a/memories/likes=r.json", key="loves")
    (folder / "sessions/s/messages/000003-m-2.json").unlink()
    assert storage.get_session("s").title == "Another"
    assert [session.id for session in storage.list_sessions(user_id="ada")] == ["s"]
    assert [message.content for message in storage.list_messages("s")] == ["0", "edited"]
    assert storage.get_message("m-2", session_id="s") is None
    # What follows from what was edited does so too, and what is written next.
    storage.list_memory("a")
    assert storage.put_memory(MemoryRecord(agent_id="a", key="likes", value=2)).id != "r"
    assert storage.put_memory(MemoryRecord(agent_id="a", key="loves", value=3)).id == "r"
    assert storage.add_message(Message(session_id="s", role="user", content="next")).seq_num == 4
    edit(folder / "sessions/s/session.json", deleted_at="2026-01-01T00:00:00.000000+00:00")
    assert storage.get_session("s") is None
    with pytest.raises(NotFound):
        storage.add_message(Message(session_id="s", role="user", content="late"))


def test_what_is_removed_can_be_written_again(storage: Storage, folder: Path) -> None:
    storage.put_memory(MemoryRecord(id="r", agent_id="a", key="likes", value=1))
    shutil.rmtree(folder / "agents")
    assert storage.list_memory("a") == []
    assert storage.put_memory(MemoryRecord(agent_id="a", key="likes", value=2)).value == 2
    shutil.rmtree(folder / "sessions/s")
    with closing(again(folder)) as later:
        assert later.get_session("s") is None
        later.create_session(Session(id="s"))


def test_a_ledger_row_that_was_edited_or_removed_is_told(storage: Storage, folder: Path) -> None:
    for session_id in ("edited", "removed", "renumbered"):
        storage.create_session(Session(id=session_id))
        storage.append_events([Event(id=f"e{n}", session_id=session_id, payload={"n": n}) for n in range(3)])
    events = folder / "sessions/edited/events"
    edit(events / "000002-e1.json", payload={"n": 7})
    (folder / "sessions/removed/events/000002-e1.json").unlink()
    edit(folder / "sessions/renumbered/events/000002-e1.json", seq_num=5)
    for session_id in ("edited", "removed", "renumbered"):
        verdict = storage.verify_events(session_id)
        assert (session_id, verdict.intact, verdict.bad_seq) == (session_id, False, 2)
    assert storage.verify_events("s").intact


def test_what_is_no_record_any_more_is_named(storage: Storage, folder: Path) -> None:
    path = folder / "sessions/s/session.json"
    whole = path.read_text(encoding="utf-8")
    for text in (whole[:-9], "[]", whole.replace('"title"', '"titel"'), whole.replace('"A talk"', "7"), "\udcff"):
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
        with pytest.raises(StoreFailure, match=r"the file sessions/s/session\.json"):
            storage.get_session("s")
        with pytest.raises(StoreFailure, match=r"the file sessions/s/session\.json"):
            storage.migrate()
    path.write_text(whole, encoding="utf-8")
    assert storage.get_session("s").title == "A talk"


def test_files_from_elsewhere_are_found_after_migrate(storage: Storage, folder: Path, tmp_path: Path) -> None:
    """As version control puts them there: without the index."""
    storage.add_message(Message(id="m", session_id="s", role="user", content="hello"))
    storage.put_memory(MemoryRecord(id="r", agent_id="a", key="likes", value=1))
    storage.append_events([Event(id=f"e{n}", session_id="s") for n in range(3)])
    token = storage.acquire("s", "ada").token
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".chronos"))
    with closing(connect(copy.as_uri())) as other:
        assert [message.content for message in other.list_messages("s")] == ["hello"]
        assert other.verify_events("s").checked == 3
        assert other.append_event(Event(session_id="s"), fence=token).seq_num == 4
        assert other.put_memory(MemoryRecord(agent_id="a", key="likes", value=2)).id == "r"
        assert other.acquire("s", "bob").token == token + 1
        other.create_session(Session(id="new"))
    shutil.copytree(copy / "sessions/new", folder / "sessions/new")
    storage.migrate()
    assert storage.get_session("new") is not None
    shutil.copy(folder / "sessions/s/messages/000001-m.json", folder / "sessions/s/messages/000001-m copy.json")
    with pytest.raises(StoreFailure, match=r"000001-m copy\.json are both of message s m"):
        storage.migrate()


def test_the_index_can_be_removed(storage: Storage, folder: Path) -> None:
    shutil.rmtree(folder / ".chronos")
    storage.add_message(Message(session_id="s", role="user", content="hello"))
    assert storage.get_session("s") is not None
    with closing(connect(folder.as_uri())) as other:
        assert other.count_messages("s") == 1


def test_a_damaged_index_is_named_and_can_be_removed(storage: Storage, folder: Path) -> None:
    storage.close()
    (folder / ".chronos/index.db").write_bytes(b"no database " * 500)
    assert "once it is removed it is made anew" in storage.health().problems[0]
    with pytest.raises(StoreFailure, match=r"index\.db: file is not a database"):
        storage.get_session("s")
    (folder / ".chronos/index.db").unlink()
    assert storage.get_session("s") is not None
    assert storage.health().problems == ()


def test_looking_at_its_health_makes_nothing(folder: Path) -> None:
    with closing(connect(folder.as_uri())) as storage:
        assert "is made by migrate()" in storage.health().problems[0]
        assert not folder.exists()
        storage.migrate()
        assert storage.health().problems == ()


def test_the_folder_may_be_a_link_and_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "real")
    monkeypatch.setenv("HOME", str(tmp_path))
    with closing(Storage(FilesystemBackend("~/data"))) as storage:
        storage.create_session(Session(id="s"))
    assert (tmp_path / "real/sessions/s/session.json").is_file()
    with pytest.raises(ConfigurationError, match="the folder must be given"):
        FilesystemBackend()


def test_a_folder_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/todo.txt").touch()
    (tmp_path / "file").touch()
    for name, why in (("notes", r"holds something else \(todo.txt\)"), ("file", "is a file")):
        storage = connect((tmp_path / name).as_uri())
        with pytest.raises(ConfigurationError, match=why):
            storage.create_session(Session(id="s"))
        assert why.replace("\\", "") in storage.health().problems[0]
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["todo.txt"]
    (tmp_path / "later").mkdir()
    (tmp_path / "later/chronos.json").write_text('{"format": "chronos-storage", "version": 2}')
    with pytest.raises(ConfigurationError, match="upgrade"):
        connect((tmp_path / "later").as_uri(), migrate=True)


def test_links_are_not_followed(storage: Storage, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("{}")
    path = folder / "sessions/s/session.json"
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(StoreFailure, match=r"session\.json"):
        storage.get_session("s")
    with pytest.raises(StoreFailure, match="is a symbolic link"):
        storage.migrate()
    path.unlink()
    (folder / "images").symlink_to(tmp_path)
    with pytest.raises(StoreFailure, match="images: is a symbolic link"):
        storage.migrate()


def test_what_others_leave_in_the_folders_is_left_alone(storage: Storage, folder: Path, tmp_path: Path) -> None:
    """Editors' copies and locks, version control, a page of notes."""
    left = ["README.md", ".git/HEAD", "notes/todo.json", "sessions/.DS_Store", "sessions/s/session.json~"]
    for name in left:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "sessions/s/.#session.json").symlink_to(tmp_path / "nowhere")
    storage.migrate()
    assert storage.delete_session("s", hard=True)
    assert not (folder / "sessions/s/session.json").exists()
    with closing(again(folder)) as later:
        assert later.list_sessions() == []
    assert all((folder / name).exists() for name in left)


# What fails


def test_processes_that_are_killed_at_any_step_leave_all_or_nothing(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.killed", str(tmp_path)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert min(map(int, done.stdout.split())) > 50


def test_what_killed_writers_left_of_a_conversation_is_accepted(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.killed_turns", str(tmp_path)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_what_a_power_cut_took_is_written_again(
    storage: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal keeps what the disk was not yet made to keep as files."""
    storage.add_messages([Message(id=f"m{n}", session_id="s", role="user", content=f"{n}") for n in range(3)])
    messages = folder / "sessions/s/messages"
    files = [messages / f"00000{n + 1}-m{n}.json" for n in range(3)]
    files[0].unlink()
    for path, text in ((files[1], ""), (files[2], "\0" * 20)):
        times = path.stat()
        path.write_text(text)
        os.utime(path, ns=(times.st_mtime_ns, times.st_mtime_ns))
    monkeypatch.setattr(disk, "boot", lambda: "the next start of the system")
    with closing(connect(folder.as_uri())) as later:
        assert [message.content for message in later.list_messages("s")] == ["0", "1", "2"]


def test_a_full_disk_leaves_nothing_half_written(
    storage: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it is in the journal it is stored, and the files follow when there is room."""

    def full(path: str, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "write", full)
        assert storage.add_message(Message(id="m", session_id="s", role="user", content="hello")).seq_num == 1
        assert [message.content for message in storage.list_messages("s")] == ["hello"]
        with pytest.raises(StoreFailure, match="No space left on device"):
            storage.add_message(Message(session_id="s", role="user", content="more"))
        assert "No space left" in storage.health().problems[0]
    assert storage.add_message(Message(session_id="s", role="user", content="again")).seq_num == 2
    assert (folder / "sessions/s/messages/000001-m.json").exists()
    assert storage.health().problems == ()


def test_nobody_commits_in_the_turn_of_another_process(folder: Path) -> None:
    """The drivers are as two processes' are: they share files alone."""
    key = ("kind", "name")
    with closing(FilesystemDriver(folder)) as late, closing(FilesystemDriver(folder)) as soon:
        assert soon.commit([Write(key, None, Document(key, "0"))])
        with ThreadPoolExecutor(1) as pool:
            with late.turn({key}, 60):
                was = late.read([key])[key]
                beside = pool.submit(soon.commit, [Write(key, was, Document(key, "soon"))])
                wait([beside], 0.2)
                assert late.commit([Write(key, was, Document(key, "late"))])
            assert beside.result(60) is False
        with soon.turn({key}, 60), late.turn({key}, 0.01):  # which begins all the same
            assert late.read([key])[key].body == "late"


def test_readers_beside_a_writer_see_each_commit_as_a_whole(folder: Path) -> None:
    """The drivers are as two processes' are: they share files alone."""
    names = [f"{number}" for number in range(5)]
    keys = [("kind", name) for name in names]
    with closing(FilesystemDriver(folder)) as writer, closing(FilesystemDriver(folder)) as reader:
        done = threading.Event()

        def write() -> None:
            try:
                for number in range(150):
                    stored = writer.read(keys)
                    documents = [Document(key, f"{number}", (Entry(("p",), key[1]),)) for key in keys]
                    if number % 10 == 0:  # gone, and there again
                        assert writer.commit([Write(key, stored.get(key), None) for key in keys])
                        stored = {}
                    assert writer.commit([Write(each.key, stored.get(each.key), each) for each in documents])
            finally:
                done.set()

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            while not done.is_set():
                found = reader.scan(("p",), limit=10, size=100)
                bodies = {document.body for _, document in found}
                assert (len(found), len(bodies)) in ((0, 0), (5, 1))
            writing.result()
        assert {document.body for document in reader.read(keys).values()} == {"149"}


def test_a_fork_goes_on_with_connections_of_its_own(folder: Path) -> None:
    program = f"""
import os
from chronos_storage import connect
from chronos_storage.records import Event, Session
storage = connect({folder.as_uri()!r})
storage.create_session(Session(id="s"))
children = []
for number in range(3):
    child = os.fork()
    if not child:
        for _ in range(5):
            storage.append_event(Event(session_id="s"))
        os._exit(0)
    children.append(child)
for _ in range(5):
    storage.append_event(Event(session_id="s"))
assert {{os.waitpid(child, 0)[1] for child in children}} == {{0}}
verdict = storage.verify_events("s")
assert (verdict.intact, verdict.checked) == (True, 20), verdict
"""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_files_are_compared_with_the_index_in_little_memory(storage: Storage) -> None:
    """However many they are: half a million took 513 MB to open."""
    for _ in range(4):
        storage.append_events([Event(session_id="s") for _ in range(500)])
    tracemalloc.start()
    storage.migrate()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 200_000
