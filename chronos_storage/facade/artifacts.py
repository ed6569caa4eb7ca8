from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BufferedReader, BytesIO
from typing import IO, Any

from .. import artifact_files, codec, records
from ..artifact_files import Content
from ..async_variants import async_variant
from ..backends.base import Condition, Query
from ..batches import batches
from ..exceptions import ChronosError, DamagedArtifact, InvalidRecord, NotFound, RetryTransaction
from ..ids import new_id
from ..records import Artifact, Blob, Fence
from ..transactions import again
from .arguments import equal, page_slice, required, start_after, token_of
from .base import FacadeBase

_ORDER = ("-created_at", "-id")
#: How long bytes are kept that no artifact has.
GRACE = timedelta(hours=24)
#: Since when bytes count as unused that an erasure has given away.
_GIVEN_AWAY = datetime(1970, 1, 2, tzinfo=UTC)


class ArtifactMethods(FacadeBase):
    def put_artifact(
        self, artifact: Artifact, data: bytes | IO[bytes], *, fence: Fence | int | None = None
    ) -> Artifact:
        """Store bytes as the next version of a name within its session_id and user_id, either of which may be empty.

        Args:
            data: the bytes, or a binary file object, which is read to its end, in pieces.
            fence: that of the session that the artifact names.

        Returns:
            The artifact as it is stored; one whose id is stored already with the same content is that one.

        Raises:
            InvalidRecord: the artifact has a size or a sha256, and the bytes have another.
            NotFound: it names a session that isn't there, or is soft-deleted.
            StaleWriter: the session was acquired again.
            AlreadyExists: the id is taken by other content.
            SequenceConflict: it has a version, which isn't the next.
            StoreFailure: the file storage can't keep it.
        """
        own = Artifact.of(artifact, "artifact").cleaned()
        token = None if fence is None else token_of(fence, [own.session_id])
        with artifact_files.taken_in(data) as content:
            for name in ("size", "sha256"):
                given, found = getattr(own, name), getattr(content, name)
                if given not in ("", 0, found):
                    raise InvalidRecord(name, f"is {given}, and the bytes have {found}")
                setattr(own, name, found)
            own.id = own.id or new_id()  # by which a second attempt finds what the first one wrote
            return again(self.backend.using, partial(self._put_artifact, own, content, token))

    @async_variant(put_artifact)
    def aput_artifact(self) -> Any: ...

    def _put_artifact(self, artifact: Artifact, content: Content, token: int | None) -> Artifact:
        if self.backend.keeps:
            self._keep(content)
        return self._appended(Artifact, [artifact], fence=token)[0][0]

    def load_content(self, data: bytes | IO[bytes], sha256: str) -> None:
        """Keep the bytes of artifacts that `load` writes, now or before; what nobody has is swept after `GRACE`.

        Args:
            data: as `put_artifact` takes them.
            sha256: what they must have.

        Raises:
            InvalidRecord: they have another.
            StoreFailure: the file storage can't keep them.
        """
        with artifact_files.taken_in(data) as content:
            if content.sha256 != sha256:
                raise InvalidRecord("sha256", f"is {sha256!r}, and the bytes have {content.sha256}")
            if self.backend.keeps:
                again(self.backend.using, partial(self._keep, content))

    @async_variant(load_content)
    def aload_content(self) -> Any: ...

    def get_artifact(
        self, name: str, *, session_id: str = "", user_id: str = "", version: int | None = None
    ) -> Artifact | None:
        """A version of a name, the latest unless told; None if there is none."""
        scope = Artifact(
            name=codec.string(name, "name"),
            session_id=codec.string(session_id, "session_id"),
            user_id=codec.string(user_id, "user_id"),
        ).scope
        where: tuple[Condition, ...] = (Condition("scope", "=", scope),)
        if version is not None:
            where += (Condition("version", "=", codec.integer(version, "version")),)
        found = self._select(Query(record=Artifact, where=where, order=("-version",), limit=1))
        return found[0] if found else None

    @async_variant(get_artifact)
    def aget_artifact(self) -> Any: ...

    def open_artifact(self, id: str) -> BufferedReader:
        """A binary file object with an artifact's bytes, to be read in pieces, and closed.

        When they are read from the start to the end, they are compared with their SHA-256: reading raises
        `DamagedArtifact` where they differ.

        Raises:
            NotFound: no such artifact.
            DamagedArtifact: its bytes are missing.
        """
        artifact = self._one(Artifact, id)
        if not self.backend.keeps:  # what is named seems to be there, with nothing in it
            return BufferedReader(BytesIO())
        if artifact is None:
            raise NotFound(f"there is no artifact {id!r}")
        return self.backend.content(artifact, partial(self._opened, artifact))

    @async_variant(open_artifact)
    def aopen_artifact(self) -> Any: ...

    def _opened(self, artifact: Artifact) -> BufferedReader:
        blob = self._one(Blob, artifact.sha256)
        if blob is None or not blob.kept:
            raise DamagedArtifact(f"the bytes of the artifact {artifact.id!r} are missing")
        return artifact_files.read(blob.kept, artifact.size, artifact.sha256)

    def list_artifacts(
        self,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        name: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        after: Artifact | None = None,
    ) -> list[Artifact]:
        """Artifacts that match every filter given, all versions, newest first; an empty filter is for those without."""
        where = equal(session_id=session_id, user_id=user_id, name=name)
        return self._select(
            start_after(Query(record=Artifact, where=where, order=_ORDER, **page_slice(limit, offset)), after)
        )

    @async_variant(list_artifacts)
    def alist_artifacts(self) -> Any: ...

    def delete_artifact(self, id: str, *, fence: Fence | int | None = None) -> bool:
        """Remove an artifact, whose version is never given again; whether it was there.

        Its bytes stay until `sweep_artifacts`.

        Args:
            fence: that of the session that the artifact names.

        Raises:
            NotFound: its session is soft-deleted.
            StaleWriter: the session was acquired again.
        """
        if fence is not None:
            token_of(fence, [])  # what is none is refused before anything is read
        sessions = self._sessions_of(Artifact, codec.string(id, "id"))
        token = None if fence is None else token_of(fence, sessions)
        where = [required(id=id, session_id=session_id) for session_id in sessions]
        return any(self._delete(Query(record=Artifact, where=each), token) for each in where)

    @async_variant(delete_artifact)
    def adelete_artifact(self) -> Any: ...

    def sweep_artifacts(
        self, *, older_than: timedelta | float = GRACE, progress: Callable[[int, int], object] | None = None
    ) -> int:
        """Remove the files whose bytes no artifact has any more; within a transaction, once it is committed.

        It may run at any time, beside all others, and be broken off.

        Args:
            older_than: for how long nobody has used them, a timedelta or seconds: longer than storing one ever takes.
            progress: called now and then with how many were looked at and how many removed.

        Returns:
            How many were removed.

        Raises:
            StoreFailure: the file storage can't remove one.
        """
        before = records.now() - codec.duration(older_than, "older_than")
        removed = 0
        for looked_at, some in enumerate(self._useless(before), 1):
            removed += some
            if progress is not None:
                progress(looked_at, removed)
        return removed

    @async_variant(sweep_artifacts)
    def asweep_artifacts(self) -> Any: ...

    def erase_artifact(self, id: str) -> bool:
        """Remove an artifact, also of a session that is soft-deleted or requires a fence, and its bytes with the next
        `sweep_erased`; whether it was there.

        Raises:
            LegalHold: its session is under a legal hold.
        """
        found = self._one(Artifact, id)
        if found is None:
            return False
        self.erase_content(found.sha256)
        query = Query(record=Artifact, where=required(id=id, session_id=found.session_id))
        return self._run(partial(self.backend.delete, query, deleted_too=True)) > 0

    @async_variant(erase_artifact)
    def aerase_artifact(self) -> Any: ...

    def erase_content(self, sha256: str) -> None:
        """Have bytes removed by the next `sweep_erased` that no artifact has then, without a time of grace."""
        self._change(codec.string(sha256, "sha256"), _give_away)

    @async_variant(erase_content)
    def aerase_content(self) -> Any: ...

    def sweep_erased(self) -> int:
        """Remove the files of what was given to `erase_content` and no artifact has; returns how many.

        What somebody stores again meanwhile stays.
        """
        blobs, before = self._iterate(Query(record=Blob, order=("id",))), _GIVEN_AWAY + timedelta(days=1)
        return sum(self._release(blob, before) for blob in blobs if blob.used_at == _GIVEN_AWAY)

    @async_variant(sweep_erased)
    def asweep_erased(self) -> Any: ...

    # What becomes of bytes: files have names of their own, and under the digest's lock it is said which one is kept.

    def _keep(self, content: Content) -> None:
        """See that a file is kept that has these bytes."""
        digest, new = content.sha256, artifact_files.new_name(self._folder(), content.sha256)
        known = self._change(digest, partial(_claim, new))
        if known and artifact_files.exists(known):
            return
        if known:
            self._change(digest, partial(_give_up, known))
            self._change(digest, partial(_claim, new))
        artifact_files.save(new, content)
        kept = self._change(digest, partial(_settle, new))
        if not kept:
            raise RetryTransaction("an artifact's file was removed, as it took long to be written: try again")
        if kept != new:  # another was faster
            self._remove(digest, [new])

    def _folder(self) -> str:
        """The store's own folder in the file storage."""
        found = self._one(Blob, "")
        return found.kept if found else self._change("", _name_folder)

    def _change(self, sha256: str, change: Callable[[Blob, Callable[[], bool]], Any]) -> Any:
        return self._run(partial(self.backend.change_blob, sha256, change))

    def _useless(self, before: datetime) -> Iterator[int]:
        """Remove what is of no use: for each that is looked at, how many files."""
        for blob in self._iterate(Query(record=Blob, order=("id",))):
            yield self._release(blob, before)
        folder = self._one(Blob, "")
        for listed in artifact_files.names(folder.kept) if folder else ():
            yield from self._remove_strays(listed, before)

    def _release(self, blob: Blob, before: datetime) -> int:
        unused = blob.id and blob.used_at is not None and blob.used_at < before
        named = Query(record=Artifact, where=required(sha256=blob.id), limit=1)
        if not any(_useless_names(blob, before)) and (not unused or self._stored(named)):
            return 0
        useless: list[str] = self._change(blob.id, partial(_abandon, before))
        return self._remove(blob.id, useless)

    def _remove_strays(self, listed: list[str], before: datetime) -> Iterator[int]:
        """Remove those of these files that are nobody's, as of a transaction that was rolled back."""
        for names in batches(listed):
            digests = [artifact_files.digest_of(name) for name in names]
            blobs = self._stored(Query(record=Blob, where=(Condition("id", "in", digests),)))
            known = {name for blob in blobs for name in (blob.kept, *blob.others)}
            for name, digest in zip(names, digests, strict=True):
                at = None if name in known or not _is_digest(digest) else artifact_files.written_at(name)
                stray = at is not None and at < before and self._change(digest, partial(_find, name))
                yield self._remove(digest, [name]) if stray else 0

    def _remove(self, sha256: str, names: list[str]) -> int:
        """Remove files that are of no use any more, once that is committed."""
        failures: list[ChronosError] = []

        def remove() -> None:
            try:
                for name in names:
                    artifact_files.delete(name)
                self._change(sha256, partial(_forget, names))
            except ChronosError as error:
                failures.append(error)

        if names:
            self.backend.after_commit(remove)
        for error in failures:
            raise error
        return len(names)


# Each of these changes what is known of some bytes, under their lock, and may be called several times for one change.


def _claim(new: str, blob: Blob, is_used: Callable[[], bool]) -> str:
    """The file that is kept, which is not swept for a while; where there is none, the new one is being written."""
    blob.used_at = records.now()
    if not blob.kept:
        blob.others[new] = blob.used_at.isoformat()
    return blob.kept


def _settle(new: str, blob: Blob, is_used: Callable[[], bool]) -> str:
    """The file that is kept: the new one, unless another is, or it was given up meanwhile."""
    blob.used_at = records.now()
    if not blob.kept and blob.others.pop(new, None):
        blob.kept = new
    elif blob.kept not in ("", new):
        blob.others[new] = None
    return blob.kept


def _give_up(name: str, blob: Blob, is_used: Callable[[], bool]) -> None:
    """Keep a file no longer, if it is kept."""
    if blob.kept == name:
        blob.others[name], blob.kept = None, ""


def _give_away(blob: Blob, is_used: Callable[[], bool]) -> None:
    """Count bytes as unused since long ago."""
    if blob.kept:
        blob.used_at = _GIVEN_AWAY


def _abandon(before: datetime, blob: Blob, is_used: Callable[[], bool]) -> list[str]:
    """Keep a file no longer that no artifact has; those that are of no use."""
    if blob.kept and blob.used_at is not None and blob.used_at < before and not is_used():
        blob.others[blob.kept], blob.kept = None, ""
    useless = list(_useless_names(blob, before))
    blob.others |= dict.fromkeys(useless)
    return useless


def _find(name: str, blob: Blob, is_used: Callable[[], bool]) -> bool:
    """Whether a file is nobody's; it is of no use then."""
    if name == blob.kept or name in blob.others:
        return False
    blob.others[name] = None
    return True


def _forget(names: list[str], blob: Blob, is_used: Callable[[], bool]) -> None:
    """Files are removed."""
    for name in names:
        blob.others.pop(name, None)


def _name_folder(blob: Blob, is_used: Callable[[], bool]) -> str:
    blob.kept = blob.kept or artifact_files.new_folder()
    return blob.kept


def _useless_names(blob: Blob, before: datetime) -> Iterator[str]:
    """The files that are not kept, and not being written still."""
    return (name for name, since in blob.others.items() if since is None or datetime.fromisoformat(since) < before)


def _is_digest(text: str) -> bool:
    return len(text) == 64
