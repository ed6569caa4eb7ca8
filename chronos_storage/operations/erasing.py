"""Removing everything of a person, and the receipt that says so."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from .. import codec
from ..chains.erasing import nameless
from ..chains.hashing import time_text
from ..chains.numbering import ACTOR, session_of, session_topic
from ..exceptions import InvalidRecord, LegalHold
from ..facade import Storage
from ..ledger.leftovers import clear_leftovers
from ..queues.base import EventQueue
from ..records import Artifact, AuditLog, Checkpoint, Image, MemoryRecord, Record, Session, now
from ..transactions import again
from ..vectors.base import VectorStore
from .chosen import Chosen, Selection, outside
from .erased import Erased
from .exported import KIND_OF, ORDER, Notes, line_of, line_of_record
from .extracts import pages
from .further import beside

#: Audit entries that are emptied under one permit.
_PAGE = 500
_REASON = "a person's records are erased"


def erase(
    storage: Storage,
    user_id: str,
    *,
    vector_stores: Iterable[VectorStore] = (),
    queues: Iterable[EventQueue] = (),
    receipt: Path | None = None,
    dry_run: bool = False,
    progress: Callable[[Erased], object] | None = None,
) -> Erased:
    """Remove everything of a person that a storage, vector stores and a queue keep; see ``docs/erasure.md``.

    Broken off, it is called again: what finds the rest, the person's sessions, goes last.

    Args:
        receipt: a file for the receipt, which must not be there yet.
        dry_run: whether nothing is removed, and only counted.
        progress: called after each record with the report as far as it is. What it raises breaks the erasure off.

    Raises:
        InvalidRecord: the user's id is empty, or the file is there.
        OSError: the file can't be written; nothing was removed.
    """
    if not codec.string(user_id, "user_id"):
        raise InvalidRecord("user_id", "is empty; say whose records are to be erased")
    if receipt is not None and receipt.exists():
        raise InvalidRecord("receipt", f"{receipt} is there already: remove it, or give another name")
    erasing = _Erasing(
        storage, user_id, list(vector_stores), list(queues), Erased(nameless(user_id), dry_run), progress
    )
    part = None if receipt is None else receipt.with_name(f"{receipt.name}.part")
    try:
        if part is not None:
            part.touch()  # afterwards it would be too late to learn that it can't be written
        erasing.run()
        if not dry_run:
            _note(storage, erasing.report)
        if receipt is not None and part is not None:
            part.write_text(json.dumps(erasing.report.as_dict(), indent=1) + "\n")
            part.rename(receipt)
    finally:
        erasing.notes.close()
        if part is not None:
            part.unlink(missing_ok=True)
    return erasing.report


def _note(storage: Storage, report: Erased) -> None:
    """Write the receipt to the audit log, where the sessions that were left are named by digests: they go later."""
    detail = {name: value for name, value in report.as_dict().items() if name not in ("dry_run", "receipt", "user")}
    detail["held"] = [nameless(id) for id in report.held]
    log = storage.append_audit_log(AuditLog(actor=ACTOR, action="user.erase", resource=report.user, detail=detail))
    report.receipt = log.id


class _Erasing:
    def __init__(
        self,
        storage: Storage,
        user_id: str,
        vector_stores: list[VectorStore],
        queues: list[EventQueue],
        report: Erased,
        progress: Callable[[Erased], object] | None,
    ) -> None:
        self._storage = storage
        self._user_id = user_id
        self._vector_stores = vector_stores
        self._queues = queues
        self._progress = progress
        self._digests: dict[str, Any] = defaultdict(hashlib.sha256)
        self.report = report
        self.notes = Notes()

    def run(self) -> None:
        """Find all, and remove it where it is not only to be counted."""
        self.report.began_at = time_text(now())
        for session in self._storage.scan("session", user_id=self._user_id):
            self.notes.add("session", session.id)
        self._erase_outside()
        self._erase_vectors()
        self._erase_entries()
        self._erase_further()
        for id in self.notes.all("session"):
            self._erase_session(id)
        if not self.report.is_dry_run:
            self.report.counts["file"] += self._storage.sweep_erased()
            self.report.remains += dict.fromkeys(chain.from_iterable(map(clear_leftovers, self._aliases())))
        self.report.counts += Counter()  # without those of which there are none
        self.report.held.sort()
        self.report.digests = {kind: digest.hexdigest() for kind, digest in sorted(self._digests.items())}
        self.report.ended_at = time_text(now())

    def _aliases(self) -> list[str]:
        """The databases of Django's in which something was removed."""
        kept = (getattr(each, "alias", None) for each in (*self._vector_stores, *self._queues))
        return sorted({each for each in (self._storage.backend.using, *kept) if isinstance(each, str)})

    def _count(self, kind: str, line: bytes) -> None:
        self.report.counts[kind] += 1
        self._digests[kind].update(line)
        if self._progress is not None:
            self._progress(self.report)

    def _hold(self, id: str) -> None:
        if id not in self.report.held:
            self.report.held.append(id)

    # What is in no session of theirs

    def _erase_outside(self) -> None:
        entries: list[AuditLog] = []
        for record in outside(self._storage, self._user_id, lambda id: self.notes.has("session", id)):
            if (held := self._held_of(record)) is not None:
                self._hold(held)
                continue
            if isinstance(record, AuditLog):
                if not record.erased:
                    entries.append(record)
                if len(entries) >= _PAGE:
                    self._empty(entries)
                    entries = []
            elif self._remove(record):
                self._count(KIND_OF[type(record)], line_of_record(record))
        self._empty(entries)

    def _held_of(self, record: Any) -> str | None:
        """The session under a hold that a record belongs to, or says something of; None if there is none."""
        about = [record.session_id]
        if isinstance(record, AuditLog) and self.notes.has("session", record.resource):
            about.append(record.resource)
        return next(filter(self._is_held, about), None)

    def _is_held(self, session_id: str) -> bool:
        session = self._storage.get_session(session_id, include_deleted=True) if session_id else None
        return session is not None and session.legal_hold

    def _remove(self, record: Any) -> bool:
        """Remove a memory, an artifact or an image; whether it could be."""
        if self.report.is_dry_run:
            return True
        if isinstance(record, MemoryRecord):
            return self._storage.delete_memory(record.id)
        if isinstance(record, Image):
            return self._storage.delete_image(record.id)
        try:
            return self._storage.erase_artifact(record.id)
        except LegalHold as held:
            self._hold(held.session_id)
            return False

    def _empty(self, entries: list[AuditLog]) -> None:
        """Empty audit entries in their chains."""
        chains: dict[tuple[str, str], list[AuditLog]] = defaultdict(list)
        for log in entries:
            chains[log.session_id, "" if log.session_id else log.agent_id].append(log)
        for (session_id, agent_id), logs in chains.items():
            if not self.report.is_dry_run:
                numbers = [log.seq_num for log in logs]
                try:
                    again(self._storage.backend.using, partial(self._empty_some, session_id, agent_id, numbers))
                except LegalHold as held:
                    self._hold(held.session_id)
                    continue
            for log in logs:
                self._count("audit_log", line_of_record(log))

    def _empty_some(self, session_id: str, agent_id: str, numbers: list[int]) -> None:
        """Empty these entries of a chain."""
        with self._storage.purge_permit(reason=_REASON) as permit:
            permit.erase_audit_logs(session_id or None, agent_id=agent_id, seq_nums=numbers)

    def _erase_vectors(self) -> None:
        for store in self._vector_stores:
            for collection, mine in pages(store, self._user_id):
                if not self.report.is_dry_run:
                    store.delete(collection, [each.id for each in mine])
                for each in mine:
                    value = [collection, each.id, each.content, each.metadata, list(each.vector)]
                    self._count("embedding", line_of("embedding", value))

    def _erase_entries(self) -> None:
        for queue in self._queues:
            found = queue.list_user_entries(self._user_id)
            held = {topic: id for topic in {each.topic for each in found} if (id := self._held_by(topic))}
            for id in held.values():
                self._hold(id)
            found = [each for each in found if each.topic not in held]
            if found and not self.report.is_dry_run:
                queue.erase_user(self._user_id, but=held)
            for each in found:
                self._count("queue_entry", line_of("queue_entry", [each.topic, each.cursor, each.event]))

    def _held_by(self, topic: str) -> str | None:
        """The session under a hold that a topic is of; None if there is none."""
        id = session_of(topic)
        return id if id and self._is_held(id) else None

    def _erase_topic(self, session_id: str) -> int:
        """Remove the topic of a session's own events."""
        return sum(queue.erase_topic(session_topic(session_id)) for queue in self._queues)

    def _erase_further(self) -> None:
        for kept, using in beside(self._storage):
            found = kept.of_user(using, self._user_id)
            while page := list(islice(found, _PAGE)):
                if not self.report.is_dry_run:
                    kept.remove(using, [key for key, _ in page])
                for _, value in page:
                    self._count(kept.kind, line_of(kept.kind, value))
            self.report.remains += filter(None, [kept.unknown(using)])

    # Their sessions

    def _erase_session(self, id: str) -> None:
        session = self._storage.get_session(id, include_deleted=True)
        if session is None:
            return
        if session.legal_hold:
            self._hold(id)
            return
        found, digests = self._read(session)
        published = 0
        if not self.report.is_dry_run:
            for sha256 in self.notes.all(f"bytes of {id}"):
                self._storage.erase_content(sha256)
            published = self._erase_topic(id)
            try:
                self._storage.erase_session(id)
            except LegalHold:
                self._hold(id)
                return
            published += self._erase_topic(id)  # what came until the session was gone
        for kind, count in {**found, "queue_entry": published}.items():
            self.report.counts[kind] += count
        for kind, digest in digests.items():
            self._digests[kind].update(digest.digest())
        if self._progress is not None:
            self._progress(self.report)

    def _read(self, session: Session) -> tuple[Counter[str], dict[str, Any]]:
        """How many records of each kind a session has, itself one of them, and a digest of those."""
        counts: Counter[str] = Counter()
        digests: dict[str, Any] = defaultdict(hashlib.sha256)
        for kind, record in self._records(session):
            counts[kind] += 1
            digests[kind].update(line_of_record(record))
            if isinstance(record, Artifact):
                self.notes.add(f"bytes of {session.id}", record.sha256)
        return counts, digests

    def _records(self, session: Session) -> Iterator[tuple[str, Record]]:
        """All records of a session, as an export of it has them."""
        yield "session", session
        notes = Notes()
        try:
            notes.add("session", session.id)
            for head in self._storage.backend.heads(Checkpoint, session.id):
                notes.set_head("checkpoint", head)
            selection = Selection(self._storage, Chosen(session=session.id), notes)
            for kind in ORDER[1:]:
                if kind not in ("container", "image"):
                    yield from ((kind, record) for record in selection.records(kind, None))
        finally:
            notes.close()
