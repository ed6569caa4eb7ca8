"""States of checkpoints that are kept in the log of their items."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.db.models import Sum
from django.db.models.functions import Coalesce, Length

from .. import codec
from ..exceptions import StoreFailure
from ..ledger.mapping import CHECKPOINTS
from ..models import Checkpoint, CheckpointItems
from .previews import whole


def state_text(checkpoint: Any) -> str:
    """All of a checkpoint's state, as text: as it is stored, where it is whole, or damaged."""
    rows = Checkpoint.objects.using(checkpoint._state.db).filter(pk=checkpoint.pk)
    if checkpoint.state_size is not None:
        with suppress(StoreFailure):
            return next((codec.encode(found.state) for found in CHECKPOINTS.fetch(rows)), "{}")
    return rows.values_list(whole(Checkpoint._meta.get_field("state")), flat=True).first() or "{}"


def sizes(using: str, session_id: str) -> tuple[int, int]:
    """How many characters the states of a session's checkpoints take, and how many they would take each whole."""
    length = Length(whole(Checkpoint._meta.get_field("state")))
    states = Checkpoint.objects.using(using).filter(session_id=session_id)
    own = states.aggregate(own=Coalesce(Sum(length), 0), whole=Coalesce(Sum(Coalesce("state_size", length)), 0))
    items = CheckpointItems.objects.using(using).filter(session_id=session_id)
    shared: int = items.aggregate(shared=Coalesce(Sum(Length("items")), 0))["shared"]
    return own["own"] + shared, own["whole"]
