from __future__ import annotations

from typing import Any, TypeVar

from eventsourcing.persistence import InfrastructureFactory
from eventsourcing.utils import Environment, resolve_topic

from ... import storages
from ...facade import Storage
from ...ids import composite_id
from .recorders import (
    ChronosAggregateRecorder,
    ChronosApplicationRecorder,
    ChronosProcessRecorder,
    ChronosRecorder,
    ChronosTrackingRecorder,
)

R = TypeVar("R", bound=ChronosRecorder)


class ChronosFactory(InfrastructureFactory[ChronosTrackingRecorder]):
    """Makes an application's recorders: its events are those of the session ``eventsourcing~<the application's name>``.

    The environment's ``CHRONOS_STORAGE_ALIAS`` names the storage, ``default`` unless given.
    """

    STORAGE_ALIAS = "CHRONOS_STORAGE_ALIAS"

    aggregate_recorder_class = ChronosAggregateRecorder
    application_recorder_class = ChronosApplicationRecorder
    tracking_recorder_class = ChronosTrackingRecorder
    process_recorder_class = ChronosProcessRecorder

    def __init__(self, env: Environment | Any) -> None:
        super().__init__(env)
        self.storage: Storage = storages[self.env.get(self.STORAGE_ALIAS) or "default"]
        self.session_id = _session_of(self.env.name)

    def aggregate_recorder(self, purpose: str = "events") -> ChronosAggregateRecorder:
        """What records events, or for another purpose, as ``snapshots``, in a session of its own."""
        session_id = self.session_id if purpose == "events" else _session_of(self.env.name, purpose)
        return self.aggregate_recorder_class(self.storage, session_id)

    def application_recorder(self) -> ChronosApplicationRecorder:
        return self._recorder(self.APPLICATION_RECORDER_TOPIC, self.application_recorder_class)

    def tracking_recorder(
        self, tracking_recorder_class: type[ChronosTrackingRecorder] | None = None
    ) -> ChronosTrackingRecorder:
        if tracking_recorder_class:
            return tracking_recorder_class(self.storage, self.session_id)
        return self._recorder(self.TRACKING_RECORDER_TOPIC, self.tracking_recorder_class)

    def process_recorder(self) -> ChronosProcessRecorder:
        return self._recorder(self.PROCESS_RECORDER_TOPIC, self.process_recorder_class)

    def _recorder(self, variable: str, otherwise: type[R]) -> R:
        """A recorder of the class that the environment names."""
        topic = self.env.get(variable)
        made: type[R] = resolve_topic(topic) if topic else otherwise
        return made(self.storage, self.session_id)


def _session_of(*parts: str) -> str:
    return composite_id("eventsourcing", *parts)
