from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from copy import copy

from django.db import IntegrityError, connections
from django.db.models import CharField, Exists, F, OuterRef, Window
from django.db.models.functions import RowNumber

from ...chains.numbering import following
from ...checkpoints.outlines import Outline, outline
from ...compat.queries import selecting
from ...ledger import postgresql_checkpoints
from ...ledger.heads import lock_heads, move
from ...ledger.item_log import ItemLog
from ...ledger.kept import Built, Place, fetch_kept
from ...ledger.mapping import CHECKPOINTS
from ...models import Head
from ...records import Checkpoint
from ...refusals import Reason, Refused
from ...snapshots import current, unless_unseen
from .deletion import DeletionMethods


class CheckpointMethods(DeletionMethods):
    def save_checkpoint(
        self, given: Checkpoint, *, fresh: bool = False, fence: int | None = None
    ) -> tuple[Checkpoint, bool]:
        new = copy(given)
        new.complete()
        parts = outline(new.state)  # before others have to wait
        in_one = connections[self.using].vendor == "postgresql" and not given.seq_num
        if in_one and postgresql_checkpoints.save_one(self.using, new, parts, fence):
            return new, True
        try:
            return self._save(new, given.seq_num, parts, fresh, fence)
        except IntegrityError:  # of a row that the head does not know of, or that can't be seen
            with unless_unseen():
                return self._save(new, given.seq_num, parts, fresh, fence, by_rows=True)

    def _save(
        self, new: Checkpoint, number: int, parts: Outline, fresh: bool, fence: int | None, *, by_rows: bool = False
    ) -> tuple[Checkpoint, bool]:
        """Store a checkpoint under this number, or 0 for the next.

        Args:
            by_rows: whether to look at the rows' numbers too, which models and SQL may give without the head.
        """
        with self._atomic():
            owners = [new.session_id]
            head = lock_heads(self.using, Head.Kind.CHECKPOINT, owners, new.namespace, fence=fence)[new.session_id]
            rows = current(self._rows(CHECKPOINTS).filter(session_id=new.session_id))
            stored = None if fresh else self._one(CHECKPOINTS, rows.filter(checkpoint_id=new.id))
            if stored is not None:
                return stored, False
            in_series, last = rows.filter(namespace=new.namespace), head.seq_num
            if by_rows:
                last = max(last, in_series.order_by("-seq_num").values_list("seq_num", flat=True).first() or 0)
            new.seq_num = number or following(last)
            if new.seq_num <= last and in_series.filter(seq_num=new.seq_num).exists():
                raise Refused(Reason.NUMBER_TAKEN, Checkpoint, new.session_id)
            log = ItemLog(self.using, head)
            CHECKPOINTS.row(log.keep(new, parts)).save(using=self.using, force_insert=True)
            log.write()
            # Whoever uses the log moves its head, so that nobody looks through it who doesn't see this checkpoint.
            if head.log_end or new.seq_num > head.seq_num:
                head.seq_num = max(head.seq_num, new.seq_num)
                move(self.using, head, "seq_num", "log_end")
        return new, True

    def namespaces(self, session_id: str) -> Iterable[str]:
        # By the heads, of which there is one each; of checkpoints there may be thousands.
        def build() -> Built:
            owner = Place(0, CharField())
            heads = Head.objects.using(self.using).filter(kind=Head.Kind.CHECKPOINT, owner=owner, series=owner)
            rows = self._rows(CHECKPOINTS).filter(session_id=owner, namespace=OuterRef("namespace"))
            return selecting(heads.filter(Exists(rows)), ["namespace"])

        return [name for (name,) in fetch_kept(connections[self.using], "namespaces", [session_id], build)]

    def prune(
        self, session_id: str, keep_last: int, run_ids: Sequence[str] | None = None, fence: int | None = None
    ) -> int:
        rows = self._rows(CHECKPOINTS).filter(session_id=session_id)
        if run_ids is not None:
            rows = rows.filter(run_id__in=run_ids)
        place = Window(RowNumber(), partition_by=F("namespace"), order_by=F("seq_num").desc())
        with self._closed_to_others(Head.Kind.CHECKPOINT, session_id, fence=fence) as head:
            if head is None:
                return 0
            found = rows.annotate(place=place).filter(place__gt=keep_last).values_list("pk", "namespace")
            old = dict(found.order_by("namespace"))
            count: int = rows.filter(pk__in=list(old)).delete()[0]
            for namespace, removed in sorted(Counter(old.values()).items()):
                if namespace != head.namespace:
                    others = lock_heads(self.using, Head.Kind.CHECKPOINT, [session_id], namespace, fence=fence)
                    head = others[session_id]
                self._removed(head, removed)
        return count
