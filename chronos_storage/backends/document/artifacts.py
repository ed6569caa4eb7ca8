from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, TypeVar

from ... import records
from ...chains.numbering import following
from ...exceptions import SequenceConflict
from ...records import Artifact, Blob, require_same
from ...refusals import Reason, Refused
from .base import DocumentBase
from .indexes import INDEXES
from .unit_of_work import UnitOfWork, guard_key, head_key

T = TypeVar("T")
_BY_DIGEST = next(index for index in INDEXES[Artifact] if index.equal == ("sha256",))


class ArtifactMethods(DocumentBase):
    def change_blob(self, sha256: str, change: Callable[[Blob, Callable[[], bool]], T]) -> T:
        def is_used() -> bool:
            return any(self.walk(_BY_DIGEST.partition("artifact", {"sha256": sha256}), page=1))

        with self.work() as work:
            # Read before the artifacts are looked at: whoever stores one changes it.
            blob = work.get(Blob, "blob", sha256) or Blob(id=sha256, used_at=records.now())
            result = change(blob, is_used)
            if blob.kept or blob.others:
                work.put(blob)
            else:
                work.remove(("blob", sha256))
        return result


def store_artifact(work: UnitOfWork, given: Artifact, fence: int | None) -> tuple[list[Any], list[Any]]:
    """Store an artifact as the next version of its scope; see `Backend.append`."""
    blob_key, key = ("blob", given.sha256), ("artifact", given.id)
    needed = [blob_key, key, head_key("artifact", given.session_id, given.scope)]
    work.fetch([*needed, guard_key(given.session_id)] if given.session_id else needed)
    if given.session_id:
        work.require_open(given.session_id)
        work.require_fences([given.session_id], fence)
    if known := work.get(Artifact, *key):
        return [require_same(given, known)], []
    head = work.head("artifact", given.session_id, given.scope)
    if given.version not in (0, head.seq_num + 1):
        raise SequenceConflict(given.version - 1, head.seq_num)
    blob = work.get(Blob, *blob_key)
    if blob is None or not blob.kept:
        raise Refused(Reason.MISSING, Blob, given.sha256)
    blob.used_at = records.now()
    work.put(blob)
    new = copy(given)
    new.complete()
    new.version = head.seq_num = following(head.seq_num)
    work.put(new)
    return [new], [new]
