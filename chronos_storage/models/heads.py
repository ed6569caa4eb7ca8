from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..compat.models import PlacedModel
from ..fields import IdField
from ..owners import OwnerField
from ..text import name as shown


class Head(PlacedModel, models.Model):
    """The last number given in one numbered series, and for a hash chain the hash it continues from.

    A table of its own, because every append updates its row: narrow, and with room on its pages on PostgreSQL. The
    row is also the lock that writers of one series take turns on.
    """

    _placed_by = "owner"

    class Kind(models.TextChoices):
        EVENT = "event"
        MESSAGE = "message"
        CHECKPOINT = "checkpoint"
        AUDIT_LOG = "audit_log"
        ARTIFACT = "artifact"

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    kind: IdField = IdField(max_length=16)
    #: The session's id; for audit logs the chain's name. Workers of the version before know its column by this name.
    series: IdField = IdField(max_length=263, db_column="owner")
    owner: OwnerField = OwnerField("series", "owner", Kind.AUDIT_LOG.value, max_length=263, db_column="owned_by")
    #: The namespace of a series of checkpoints, or the scope of an artifact's versions.
    namespace: IdField = IdField()
    seq_num: models.BigIntegerField[int, int] = models.BigIntegerField(default=0)
    hash: IdField = IdField(max_length=64)
    #: The last number that a purge removed, and its hash: where the chain now begins.
    base_seq: models.BigIntegerField[int, int] = models.BigIntegerField(default=0)
    base_hash: IdField = IdField(max_length=64)
    #: Of a series of checkpoints: the position at which its log of items goes on, which is never given again, and how
    #: many checkpoints were removed since the log was looked through for items that none uses. Workers of the version
    #: before, who don't know of them, go on making heads.
    log_end: models.BigIntegerField[int, int] = models.BigIntegerField(default=0, db_default=0)
    removed: models.BigIntegerField[int, int] = models.BigIntegerField(default=0, db_default=0)
    #: Whether the session is soft-deleted and takes no more: for workers of a version that don't look at its own row.
    closed: models.BooleanField[bool, bool] = models.BooleanField(default=False)

    class Meta:
        db_table = "chronos_storage_head"
        verbose_name: ClassVar[Any] = _("head")
        verbose_name_plural: ClassVar[Any] = _("heads")
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(fields=["series", "kind", "namespace"], name="chronos_head_series"),
        )

    def __str__(self) -> str:
        return shown(f"{self.kind} {self.series} {self.namespace}")
