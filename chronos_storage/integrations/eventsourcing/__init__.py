"""Recorders for the package eventsourcing over the ledger; `docs/eventsourcing.md` is the guide.

An application takes them by ``PERSISTENCE_MODULE="chronos_storage.integrations.eventsourcing"`` in its environment.
"""

from .factory import ChronosFactory as Factory
from .recorders import (
    ChronosAggregateRecorder,
    ChronosApplicationRecorder,
    ChronosProcessRecorder,
    ChronosTrackingRecorder,
)

__all__ = [
    "ChronosAggregateRecorder",
    "ChronosApplicationRecorder",
    "ChronosProcessRecorder",
    "ChronosTrackingRecorder",
    "Factory",
]
