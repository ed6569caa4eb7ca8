from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, TypeVar

from ... import records
from ...chains.numbering import following
from ...exceptions import SequenceConflict
from ...ledger.heads import lock_heads, locked, move
from ...ledger.mapping import ARTIFACTS, BLOBS
from ...models import Artifact, Blob, Head
from ...records import require_same
from ...refusals import Reason, Refused
from ...snapshots import Unseen, current, unless_unseen
from .base import OrmBase

T = TypeVar("T")


class ArtifactMethods(OrmBase):
    def _append_artifacts(
        self, artifacts: Sequence[records.Artifact], expected_seq: int | None, fence: int | None
    ) -> tuple[list[records.Artifact], list[records.Artifact]]:
        [given] = artifacts
        owner = given.session_id
        with unless_unseen(), self._atomic():
            head = lock_heads(self.using, Head.Kind.ARTIFACT, [owner], given.scope, fence=fence)[owner]
            if known := self._one(ARTIFACTS, current(self._rows(ARTIFACTS).filter(pk=given.id))):
                return [require_same(given, known)], []
            if given.version not in (0, head.seq_num + 1):
                raise SequenceConflict(given.version - 1, head.seq_num)
            blobs = self._rows(BLOBS).filter(pk=given.sha256).exclude(kept="")
            if not blobs.update(used_at=records.now()):
                raise Refused(Reason.MISSING, records.Blob, given.sha256)
            new = copy(given)
            new.complete()
            new.version = head.seq_num = following(head.seq_num)
            move(self.using, head, "seq_num")
            ARTIFACTS.row(new).save(using=self.using, force_insert=True)
        return [new], [new]

    def change_blob(self, sha256: str, change: Callable[[records.Blob, Callable[[], bool]], T]) -> T:
        artifacts, blobs = Artifact._default_manager.using(self.using), Blob._default_manager.using(self.using)

        def is_used() -> bool:
            return bool(current(artifacts.filter(sha256=sha256)).values_list("pk")[:1])

        with self._atomic():
            rows = locked(blobs.filter(pk=sha256))
            if not rows:
                blobs.bulk_create([Blob(id=sha256)], ignore_conflicts=True)  # another who makes it is waited for
                rows = locked(blobs.filter(pk=sha256))
            if not rows:  # and who removes it may have been faster again
                raise Unseen
            blob: Any = BLOBS.fetch(current(blobs.filter(pk=sha256)))[0]
            result = change(blob, is_used)
            if blob.kept or blob.others:
                BLOBS.row(blob).save(using=self.using, force_update=True)
            else:
                blobs.filter(pk=sha256).delete()
        return result
