"""Copies: from one backend into another, however often they are broken off."""

from __future__ import annotations

import json
import random
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chronos_storage import Storage, connect
from chronos_storage.exceptions import AlreadyExists, InvalidRecord
from chronos_storage.operations.copying import copy
from chronos_storage.operations.places import Place
from chronos_storage.queues.beside import queue_beside
from chronos_storage.records import Container, Embedding, Event, MemoryRecord, Message, Session
from chronos_storage.vectors.addresses import connect_vectors
from tests.conftest import ONLY_SQLITE, STRICTEST
from tests.integration.test_exports import Broken, breaking, contents, everything, fill, memory


def place(storage: Storage, name: str = "") -> Place:
    return Place(name or repr(id(storage)), "memory://", storage)


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_a_copy_is_equal_record_by_record(storage: Storage) -> None:
    source = memory()
    fill(source)
    source.delete_session("t")
    stores = [source, storage, memory()]
    for old, new in pairwise(stores):
        report = copy(place(old), place(new))
        assert (report.problem, report.differences) == ("", 0)
        assert report.compared == report.loaded.counts
        assert report.loaded.new == report.compared.total() > 50
        assert everything(new) == everything(source)
        assert contents(new) == contents(source)
        assert list(new.chain_heads()) == list(source.chain_heads())
        assert [each.intact for each in new.verify_all()] == [True] * report.loaded.chains
        again = copy(place(old), place(new))
        assert (again.loaded.new, again.compared) == (0, report.compared)


def test_what_is_broken_off_anywhere_is_gone_on_with() -> None:
    source, target = memory(), memory()
    fill(source)
    total = copy(place(source), place(memory())).loaded.counts.total()
    step = 0
    while True:
        try:
            report = copy(place(source), place(target), progress=breaking(step))
        except Broken:
            step += random.randrange(5, total // 3)
            continue
        break
    assert step > total
    assert (report.problem, report.compared) == ("", report.loaded.counts)
    assert everything(target) == everything(source)
    assert contents(target) == contents(source)


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_what_became_of_the_source_later_is_copied_too(storage: Storage) -> None:
    source, targets = memory(), (storage, memory())
    fill(source, "su")
    for target in targets:
        copy(place(source), place(target))
    source.add_message(Message(session_id="s", role="user"))
    source.patch_session("s", title="later", require_fence=True)
    source.delete_session("u")
    source.save_container(Container(id="box", config={"later": 1}))
    source.put_memory(MemoryRecord(agent_id="agent s", user_id="user s", key="shared", value="later"))
    source.end_trace(source.list_traces("s")[0].id, output="later")
    for metadata in ({}, {"later": 1}):
        fence = source.acquire("s", "worker", force=True)
        source.patch_session("s", fence=fence, metadata=metadata)
        for target in targets:
            report = copy(place(source), place(target))
            assert (report.problem, report.compared) == ("", report.loaded.counts)
            assert everything(target) == everything(source)


def test_what_the_target_has_stays_as_it_is_and_what_differs_is_told() -> None:
    source, target = memory(), memory()
    fill(source)
    copy(place(source), place(target))
    target.create_session(Session(id="own"))
    target.delete_session("s")
    target.patch_session("t", title="changed")
    target.append_event(Event(session_id="t"))
    source.append_events([Event(session_id=id) for id in "s"])
    report = copy(place(source), place(target))
    assert (report.problem, report.loaded.new, report.loaded.deleted) == ("", 1, ["s"])
    assert target.get_session("t").title == "changed"

    class Forgetting(Storage):
        """Whose backend does not keep what it was given."""

        def load(self, records: Any) -> int:
            return super().load([each for each in records if not (isinstance(each, Message) and each.content == "s 2")])

    report = copy(place(source), place(Forgetting(memory().backend)))
    [lost] = [each.id for each in source.list_messages("s") if each.content == "s 2"]
    assert report.different == [f"message {lost!r} of the session 's'"]
    assert "1 records are not as they are in the source" in report.problem
    other = memory()
    other.create_session(Session(id="s"))
    other.append_event(Event(session_id="s", payload="other"))
    with pytest.raises((AlreadyExists, InvalidRecord)):
        copy(place(source), place(other))


def run(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("chronos_copy", *arguments, "--json", stdout=out)
    return dict(json.loads(out.getvalue()))


def test_addresses_are_copied_with_their_vectors(tmp_path: Path, other_databases: None) -> None:
    old, new = str(tmp_path / "old.db"), f"sqlite:///{tmp_path / 'new.db'}"
    source = connect(old, migrate=True)
    fill(source, "s")
    assert run("--from", old, "--to", f"file://{tmp_path}/files")["differences"] == 0
    vectors = connect_vectors(old, migrate=True)
    vectors.create_collection("c", 2, metric="l2")
    given = [Embedding(id=f"{n:03}", vector=[n, 0.1], content="é", metadata={"n": n}) for n in range(250)]
    vectors.upsert("c", given)
    vectors.create_collection("empty", 3)
    report = run("--from", old, "--to", new)
    assert (report["differences"], report["embeddings"]) == (0, {"c": 250, "empty": 0})
    assert everything(connect(new)) == everything(source)
    copied = connect_vectors(new)
    assert copied.list_collections() == vectors.list_collections()
    assert copied.list("c") == vectors.list("c")
    copied.upsert("c", [Embedding(id="000", vector=[7, 7])])
    with pytest.raises(CommandError, match=r"keeps no vectors: copy these collections .* 'c', 'empty'"):
        run("--from", new, "--to", f"file://{tmp_path}/files")


def test_what_can_not_be_copied_is_refused_by_name(tmp_path: Path, other_databases: None) -> None:
    here = str(tmp_path / "here.db")
    connect(here, migrate=True)
    for given, problem in (
        ((here, f"sqlite:///{here}"), "is the same place as from"),
        (("default", "default"), "is the same place as from"),
        (("archve", here), "'archve' is no alias in the settings, which have default, and no address"),
        ((str(tmp_path / "nothing.db"), here), "there is no file"),
        ((f"file://{tmp_path}/nothing", here), "there is no folder"),
    ):
        with pytest.raises(CommandError, match=problem):
            run("--from", given[0], "--to", given[1])
    assert not (tmp_path / "nothing.db").exists()


def test_the_queue_is_copied_with_its_cursors_keys_and_consumers(tmp_path: Path, other_databases: None) -> None:
    source = connect(old := str(tmp_path / "old.db"), migrate=True)
    queue = queue_beside(source)
    cursors = [queue.publish("t", n, user_id="u", key=f"k{n}") for n in range(700)]
    queue.ack("c", "t", cursors[9])
    queue.publish("é", None)
    new = f"file://{tmp_path}/files"
    for _ in range(2):
        report = run("--from", old, "--to", new)
        assert (report["entries"], report["differences"]) == ({"t": 700, "é": 1}, 0)
    copied = queue_beside(connect(new))
    assert copied.recover("t") == queue.recover("t")
    assert copied.get_cursor("c", "t") == cursors[9]
    assert copied.publish("t", 5, user_id="u", key="k5") == cursors[5]
    queue.publish("t", "later")
    last = copied.publish("t", "other")
    with pytest.raises(CommandError, match=f"entry {last} of the topic 't' is one"):
        run("--from", old, "--to", new)
