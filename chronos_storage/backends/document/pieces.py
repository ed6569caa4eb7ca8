"""Commits of any size, for engines that can do only so much at once."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

from ...exceptions import RetryTransaction, StoreFailure
from .driver import Document, Driver, Entry, Key, Write, up_to_size

#: What the text of a marked document begins with; hardly another's.
_SIGN = "\x01"
_PENDING, _DONE, _GIVEN_UP = "pending", "done", "given up"
#: Seconds without a piece after which whoever was at a commit is taken for dead; and between two looks for the dead.
_PATIENCE, _LOOK = 20.0, 2.0
#: Seconds after which marks that another takes away are looked at again.
_SHORT = 0.01
#: How often it is said that a commit is done, while others are faster with what it changes last.
_ATTEMPTS = 50
#: Documents, and characters of their texts, up to which a scan asks for more at once to find enough that are seen.
_WIDE, _LONG = 10_000, 16 * 1024 * 1024
#: Where all that is under way is listed.
_ALL: Key = ("pieces",)


class _Mark(NamedTuple):
    """What stands before the text of a document with which a commit is not done yet.

    Attributes:
        by: the commit's id.
        is_new: whether the document is to be there then, rather than gone.
        expires_at: the document's, as text.
    """

    by: str
    is_new: bool
    expires_at: str | None


@dataclass(slots=True, frozen=True)
class _Marked(Document):
    """A document as it is to be seen, while a commit is under way that makes or removes it.

    Attributes:
        commit: the commit's own document as it was read: what is seen is so while that is unchanged.
    """

    commit: Document | None = None


class InPieces(Driver):
    """A driver whose commits are made in pieces where they are too large for one.

    The documents that are to be made, and those that are to be removed, are marked a piece at a time; whoever reads a
    marked one looks whether its commit is done, and sees it as it was before or as it is after that. One conditional
    write then says that it is done, and changes what else is to be changed, if all other conditions hold; and the marks
    go, a piece at a time. Who is killed meanwhile leaves marks, which others take away: with what they are on where it
    was done, as if nothing had been where it was not.

    Attributes:
        most: changes of a commit that are made at once, and characters of their texts.
        piece: the same of a piece.
    """

    most: tuple[int, int] = (5_000, 16 * 1024 * 1024)
    piece: tuple[int, int] = (1_000, 4 * 1024 * 1024)
    _looked = 0.0

    # What the engine does

    @abstractmethod
    def read_kept(self, keys: Iterable[Key]) -> dict[Key, Document]:
        """`Driver.read`, of what is kept."""

    @abstractmethod
    def scan_kept(
        self, partition: Key, *, above: str | None, below: str | None, reverse: bool, limit: int, size: int
    ) -> list[tuple[str, Document]]:
        """`Driver.scan`, of what is kept."""

    @abstractmethod
    def commit_at_once(self, writes: Sequence[Write], *, in_turn: bool = True) -> bool:
        """`Driver.commit`, of what the engine can do at once.

        Two documents may be meant for one place, of which one is marked: it keeps both, or is false.

        Args:
            in_turn: whether it may be false as others wait for what is changed.
        """

    def keep_turn(self) -> None:
        """Have this thread's turn, if it has one, begin anew: it would be over before a large commit is."""

    # What is seen

    def read(self, keys: Iterable[Key]) -> dict[Key, Document]:
        found = self.read_kept(keys)
        while marked := [document for document in found.values() if is_marked(document)]:
            commits = self._commits(marked)
            for document in marked:
                del found[document.key]
                if (commit := commits.get(_mark(document).by)) and (seen := _seen(document, commit)):
                    found[document.key] = seen
            # Of what is done with by now, there are no marks any more.
            gone = [document.key for document in marked if _mark(document).by not in commits]
            if not gone:
                break
            found |= self.read_kept(gone)
        return found

    def scan(
        self,
        partition: Key,
        *,
        above: str | None = None,
        below: str | None = None,
        reverse: bool = False,
        limit: int,
        size: int,
    ) -> list[tuple[str, Document]]:
        first = self.scan_kept(partition, above=above, below=below, reverse=reverse, limit=limit, size=size)
        if not any(is_marked(document) for _, document in first):
            return first
        commits: dict[str, Document] = {}
        while True:
            seen = self._scanned(commits, partition, above, below, reverse, limit, size)
            # As one, if none of these commits was done, or done with, meanwhile.
            if seen is not None and self._states(commits) == {id: _state(each) for id, each in commits.items()}:
                return seen
            commits = {id: each for id, each in self._states_of(commits).items() if _state(each) != _PENDING}

    def _scanned(
        self,
        commits: dict[str, Document],
        partition: Key,
        above: str | None,
        below: str | None,
        reverse: bool,
        limit: int,
        size: int,
    ) -> list[tuple[str, Document]] | None:
        """What is seen, or None where that must be asked again; commits that it depends on are added to `commits`."""
        seen: list[tuple[str, Document]] = []
        wide, long = limit, size
        while limit > 0 and size > 0:
            page = self.scan_kept(partition, above=above, below=below, reverse=reverse, limit=wide, size=long)
            length = sum(len(document.body) for _, document in page)
            marked = [document for _, document in page if is_marked(document)]
            new = self._commits([each for each in marked if _mark(each).by not in commits])
            commits |= new
            # What was found before it was known that a commit is done may be of before and after that.
            is_done_with = any(_mark(each).by not in commits for each in marked)
            if is_done_with or any(_state(commit) == _DONE for commit in new.values()):
                return None
            states = [_seen(each, commits[_mark(each).by]) if is_marked(each) else each for _, each in page]
            there = [(place, each) for (place, _), each in zip(page, states, strict=True) if each is not None]
            some = up_to_size(there[:limit], size)
            seen_length = sum(len(document.body) for _, document in some)
            if len(some) == limit or seen_length >= size or (len(page) < wide and length < long):
                return seen + some
            if len(page) < _WIDE and length < _LONG:
                wide, long = 4 * wide, 4 * long  # from the beginning: what is seen is of one moment
                continue
            # Too much for that. At the last place there may be others, which come again.
            last = page[-1][0]
            edge = next((place for place, _ in reversed(page) if place != last), last)
            some = [(place, each) for place, each in some if place != last or edge == last]
            seen += some
            limit, size = limit - len(some), size - sum(len(document.body) for _, document in some)
            above, below = (above, edge) if reverse else (edge, below)
        return seen

    def _commits(self, marked: Iterable[Document]) -> dict[str, Document]:
        """The documents of the commits that marked these, by id; without those that are done with."""
        return self._states_of({_mark(document).by for document in marked})

    def _states_of(self, ids: Iterable[str]) -> dict[str, Document]:
        keys = [_key(id) for id in ids]
        return {key[-1]: document for key, document in self.read_kept(keys).items()} if keys else {}

    def _states(self, ids: Iterable[str]) -> dict[str, str]:
        return {id: _state(document) for id, document in self._states_of(ids).items()}

    # Committing

    def commit(self, writes: Sequence[Write]) -> bool:
        return self._commit(writes)

    def commit_with(self, writes: Sequence[Write], last: Callable[[], Sequence[Write]]) -> bool:
        return self._commit(writes, last) if self._is_large(writes) else super().commit_with(writes, last)

    def _is_large(self, writes: Sequence[Write]) -> bool:
        changes = [write for write in writes if write.now is not write.was]
        most, size = self.most
        return len(changes) > most or sum(len(write.now.body) for write in changes if write.now) > size

    def _commit(self, writes: Sequence[Write], last: Callable[[], Sequence[Write]] | None = None) -> bool:
        seen = {write.key: write.was.commit for write in writes if isinstance(write.was, _Marked)}
        if seen:
            if any(write.now is not write.was for write in writes if write.key in seen):
                self._take_away({commit.key[-1] for commit in seen.values() if commit})
                return False
            depends = {commit.key: commit for commit in seen.values() if commit}
            writes = [*writes, *(Write(key, commit, commit) for key, commit in depends.items())]
        if self._is_large(writes):
            return self._commit_in_pieces(writes, last)
        if self.commit_at_once(writes):
            return True
        if time.monotonic() - self._looked > _LOOK:
            self._looked = time.monotonic()
            self.take_away_marks()
        return False

    def _commit_in_pieces(self, writes: Sequence[Write], last: Callable[[], Sequence[Write]] | None) -> bool:
        marked = [write for write in writes if (write.was is None) != (write.now is None)]
        others = [write for write in writes if (write.was is None) == (write.now is None)]
        id = uuid4().hex
        self.commit_at_once([Write(_key(id), None, self._said(id, _PENDING))])
        is_done = False
        try:
            are_marked = all(self._marked(id, piece) for piece in self._pieces(marked))
            is_done = are_marked and self._conclude(id, others, last)
        finally:
            # Also where an error came in between; what can't be taken away now, others will.
            with suppress(RetryTransaction, StoreFailure):
                if not is_done:
                    self._give_up(id)
                self._settle(id)
        return is_done

    def _conclude(self, id: str, others: Sequence[Write], last: Callable[[], Sequence[Write]] | None) -> bool:
        """Say that a commit is done; others may be faster with what is asked for last, and are so not every time."""
        if last is None:
            return self._say(id, _DONE, others)
        for _ in range(_ATTEMPTS):
            writes = last()
            if not any(isinstance(write.was, _Marked) for write in writes) and self._say(id, _DONE, [*others, *writes]):
                return True
        return False

    def _pieces(self, writes: Iterable[Write]) -> Iterator[list[Write]]:
        piece: list[Write] = []
        size = 0
        for write in writes:
            piece.append(write)
            size += len(write.now.body) if write.now else 0
            if len(piece) >= self.piece[0] or size >= self.piece[1]:
                yield piece
                piece, size = [], 0
        if piece:
            yield piece

    def _marked(self, id: str, writes: Sequence[Write]) -> bool:
        """Mark what is to be made and removed, if it is as its condition says."""
        gone = {write.key: write.was.version for write in writes if write.was}
        kept = self.read_kept(gone)
        if {key: document.version for key, document in kept.items()} != gone:
            return False
        marks = [
            Write(key, kept.get(key), _with_mark(now or kept[key], _Mark(id, bool(now), _text(now))))
            for key, _, now in writes
        ]
        self.keep_turn()
        return self._say(id, _PENDING, marks)

    def _say(self, id: str, state: str, writes: Sequence[Write] = ()) -> bool:
        """Say how far a commit is, unless that was said already, and do so much more with it."""
        before = self.read_kept([_key(id)]).get(_key(id))
        if before is None or _state(before) != _PENDING:
            return False
        return self.commit_at_once([Write(_key(id), before, self._said(id, state)), *writes])

    def _said(self, id: str, state: str) -> Document:
        body = json.dumps([state, self.now().timestamp()])
        return Document(_key(id), body, (Entry(_ALL, id),))

    def _give_up(self, id: str) -> None:
        while self._states([id]).get(id) == _PENDING:
            self._say(id, _GIVEN_UP)

    def _settle(self, id: str) -> None:
        """Make of what a commit marked what it is to be, as it is done or given up; several may do so at once."""
        while (commit := self.read_kept([_key(id)]).get(_key(id))) is not None:
            limit, size = self.piece
            some = self.scan_kept(_of(id), above=None, below=None, reverse=False, limit=limit, size=size)
            writes = [Write(document.key, document, _final(document, commit)) for _, document in some]
            # Those who wait there, each for another document, may be at this very thing.
            if not self.commit_at_once(writes or [Write(commit.key, commit, None)], in_turn=False):
                time.sleep(_SHORT)  # another does so just now

    def take_away_marks(self) -> None:
        """Take away what those left who were killed in a commit."""
        found = self.scan_kept(_ALL, above=None, below=None, reverse=False, limit=100, size=100_000)
        self._take_away({document.key[-1] for _, document in found})

    def _take_away(self, ids: Iterable[str]) -> None:
        for id, commit in self._states_of(ids).items():
            state, since = json.loads(commit.body)
            # Where the clock was set back, it is not waited for.
            if state == _PENDING and abs(self.now().timestamp() - since) > _PATIENCE:
                self._give_up(id)
                state = _GIVEN_UP
            if state != _PENDING:
                self._settle(id)


def _key(id: str) -> Key:
    return (*_ALL, id)


def _of(id: str) -> Key:
    """The partition of what a commit has marked."""
    return (*_ALL, "of", id)


def _state(commit: Document) -> str:
    state: str = json.loads(commit.body)[0]
    return state


def _text(document: Document | None) -> str | None:
    return document.expires_at.isoformat() if document and document.expires_at else None


def is_marked(document: Document) -> bool:
    """Whether a document as it is kept is one with which a commit is not done yet."""
    return document.body[:1] == _SIGN and any(entry.partition[:2] == _of("")[:2] for entry in document.entries)


def _mark(document: Document) -> _Mark:
    return _Mark(*json.loads(document.body[1 : document.body.index("\n")]))


def _with_mark(document: Document, mark: _Mark) -> Document:
    entries = (*document.entries, Entry(_of(mark.by), json.dumps(document.key)))
    return Document(document.key, f"{_SIGN}{json.dumps(mark)}\n{document.body}", entries)


def _without_mark(document: Document) -> Document:
    mark = _mark(document)
    entries = tuple(entry for entry in document.entries if entry.partition != _of(mark.by))
    expires_at = datetime.fromisoformat(mark.expires_at) if mark.expires_at else None
    body = document.body[document.body.index("\n") + 1 :]
    return Document(document.key, body, entries, document.version, expires_at)


def _is_there(document: Document, commit: Document) -> bool:
    """Whether a marked document is there, as far as its commit is."""
    return _mark(document).is_new == (_state(commit) == _DONE)


def _seen(document: Document, commit: Document) -> Document | None:
    if not _is_there(document, commit):
        return None
    plain = _without_mark(document)
    return _Marked(plain.key, plain.body, plain.entries, plain.version, plain.expires_at, commit)


def _final(document: Document, commit: Document) -> Document | None:
    return _without_mark(document) if _is_there(document, commit) else None
