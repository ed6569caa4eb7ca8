"""The logs of items that states of checkpoints are made of, a document a run; what a log is, `checkpoints` says."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Set
from copy import copy
from itertools import chain, pairwise
from typing import Any, TypeVar

from ... import codec
from ...checkpoints.outlines import WHOLE, Outline
from ...checkpoints.runs import MAX_ITEMS, Items, Missing, Range, Run, digests_in, merged, packed
from ...checkpoints.skeletons import Skeleton, assembled, is_skeleton, place, ranges_of
from ...exceptions import StoreFailure
from ...records import Checkpoint, Record
from .base import DocumentBase
from .driver import Document, Entry, Key
from .indexes import place_of, series_of
from .serialization import decode
from .unit_of_work import Conflict, UnitOfWork

R = TypeVar("R", bound=Record)

#: How often a checkpoint is read whose items go in between.
_ATTEMPTS = 20
#: A log is looked through for what no checkpoint uses once one was removed for so many that are kept.
_KEPT_PER_REMOVED = 100


def log_of(session_id: str, namespace: str) -> Key:
    """The partition of a series' runs, by where they start."""
    return "log", session_id, namespace


class ItemLogMethods(DocumentBase):
    """Checkpoints with skeletons for their states, to be read and written."""

    # Reading

    def whole(self, found: Iterable[R]) -> Iterator[R]:
        """Records as they were read, but checkpoints with the states in the place of their skeletons.

        Those that were removed in between, and their items with them, are left out.
        """
        for record in found:
            if not isinstance(record, Checkpoint):
                yield record
            elif (filled := self._filled(record)) is not None:
                yield filled

    def whole_now(self, record: Checkpoint) -> Checkpoint:
        """The same for one that was read in a unit of work, which fails where it was removed in between."""
        filled: Checkpoint | None = self._filled(record)
        if filled is None:
            raise Conflict
        return filled

    def _filled(self, record: Any) -> Any:
        found = record
        for _ in range(_ATTEMPTS):
            if found is None or not is_skeleton(found.state):
                return found
            try:
                runs = self._runs(found.session_id, found.namespace, ranges_of(found.state))
                found.state = codec.loads(assembled(found.state, Items(runs)))
            except Missing:
                key = ("checkpoint", record.session_id, record.id)
                document = self.read_one(key)
                found = None if document is None else decode(Checkpoint, document.body)
        raise StoreFailure("items that a checkpoint's state is made of are not there, or are others")

    def _runs(self, session_id: str, namespace: str, ranges: Iterable[Range]) -> Iterator[Run]:
        """The runs that have an item in these ranges."""
        for start, stop in merged(ranges):
            # A run begins at most so far before the first item that is wanted of it.
            above = place_of(start - MAX_ITEMS) if start >= MAX_ITEMS else None
            for document in self.walk(log_of(session_id, namespace), above=above, below=place_of(stop)):
                run = _run(document)
                if run.stop > start:
                    yield run

    # Writing

    def keep(self, work: UnitOfWork, record: Checkpoint, parts: Outline) -> Checkpoint:
        """The record as it is to be stored: with a skeleton for its state, unless that is short.

        Args:
            parts: the outline of the state.
        """
        kept = copy(record)
        series = log_of(record.session_id, record.namespace)
        if parts.size > WHOLE:
            head = work.head("checkpoint", record.session_id, record.namespace)

            def digests(ranges: list[Range]) -> Mapping[int, bytes]:
                stored = self._runs(record.session_id, record.namespace, ranges)
                runs = chain(stored, map(_run, work.new_in(series)))
                return {at: digest for run in runs for at, digest in digests_in(run.start, run.digests)}

            base = self._base(work, record) if head.log_end else None
            state: Any
            state, new = place(parts, base, head.log_end, digests)
            kept.state = state
            for run in packed(new, head.log_end):
                work.write(_document(series, run), fresh=True)
                head.log_end = run.stop
        work.last[series] = kept.state
        return kept

    def _base(self, work: UnitOfWork, record: Checkpoint) -> Skeleton | None:
        """The skeleton of the parent, or else of the one before."""
        parent = work.document(("checkpoint", record.session_id, record.parent_id)) if record.parent_id else None
        if parent is not None and (known := decode(Checkpoint, parent.body)).namespace == record.namespace:
            state: Any = known.state
        elif (series := log_of(record.session_id, record.namespace)) in work.last:
            state = work.last[series]
        else:
            partition = series_of("checkpoint", record.session_id, record.namespace)
            state = None
            for _, document in self.driver.scan(partition, reverse=True, limit=1, size=1):
                work.found(document)
                state = decode(Checkpoint, document.body).state
        return state if is_skeleton(state) else None

    def sweep(self, work: UnitOfWork, session_id: str, namespace: str, gone: Set[Key]) -> None:
        """Remove what no checkpoint uses, where those of these keys of a series are removed, or put it off.

        It reads all that are kept, and so is done once for every hundredth of them that is removed. The head must have
        been read before those that go were looked for, so that nobody adds one that is overlooked.
        """
        head = work.head("checkpoint", session_id, namespace)
        head.removed += len(gone) if head.log_end else 0
        if not head.removed or head.removed * _KEPT_PER_REMOVED < head.count:
            return
        used: list[Range] = []
        for record in self._kept(session_id, namespace, gone):
            used = merged([*used, *ranges_of(record.state)], near=0)
        bounds = pairwise([(0, 0), *used, (head.log_end, head.log_end)])
        unused = [(stop, start) for (_, stop), (start, _) in bounds if start > stop]
        for start, stop in unused:
            above = place_of(start - 1) if start else None
            found = self.walk(log_of(session_id, namespace), above=above, below=place_of(stop))
            work.remove_found([document for document in found if _run(document).stop <= stop])
        head.removed = 0

    def _kept(self, session_id: str, namespace: str, gone: Set[Key]) -> Iterator[Any]:
        """The checkpoints of a series that have skeletons and don't go."""
        for document in self.walk(series_of("checkpoint", session_id, namespace)):
            if document.key not in gone:
                record: Any = decode(Checkpoint, document.body)
                if is_skeleton(record.state):
                    yield record


def _document(series: Key, run: Run) -> Document:
    where = place_of(run.start)
    body = codec.encode([run.start, run.stop, b64encode(run.digests).decode(), run.items])
    return Document((*series, where), body, (Entry(series, where),))


def _run(document: Document) -> Run:
    start, stop, digests, items = codec.loads(document.body)
    return Run(start, stop, b64decode(digests), items)
