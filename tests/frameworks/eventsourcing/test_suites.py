"""The package's own recorder test cases, which it ships, on each database."""

from __future__ import annotations

from typing import Any

import pytest
from eventsourcing.persistence import AggregateRecorder, ApplicationRecorder, ProcessRecorder, TrackingRecorder
from eventsourcing.tests import persistence
from eventsourcing.utils import Environment

from chronos_storage.backends.orm import OrmBackend
from chronos_storage.facade import Storage
from chronos_storage.integrations.eventsourcing import (
    ChronosAggregateRecorder,
    ChronosApplicationRecorder,
    ChronosProcessRecorder,
    ChronosTrackingRecorder,
    Factory,
)
from tests.conftest import SQLITE_AND_POSTGRES


class _Recorders:
    __test__ = False
    alias: str
    recorder: type[Any]

    def create_recorder(self) -> Any:
        return self.recorder(Storage(OrmBackend(using=self.alias)), "application")


class _Aggregate(_Recorders, persistence.AggregateRecorderTestCase):
    recorder = ChronosAggregateRecorder


class _Application(_Recorders, persistence.ApplicationRecorderTestCase[ApplicationRecorder]):
    recorder = ChronosApplicationRecorder

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class _Tracking(_Recorders, persistence.TrackingRecorderTestCase):
    recorder = ChronosTrackingRecorder


class _Process(_Recorders, persistence.ProcessRecorderTestCase):
    recorder = ChronosProcessRecorder


class _NonInterleaving(_Recorders, persistence.NonInterleavingNotificationIDsBaseCase):
    recorder = ChronosApplicationRecorder


class OwnTrackingRecorder(ChronosTrackingRecorder):
    pass


class _Factory(persistence.InfrastructureFactoryTestCase[Factory]):
    __test__ = False
    alias: str

    def setUp(self) -> None:
        self.env = Environment("App")
        self.env["PERSISTENCE_MODULE"] = "chronos_storage.integrations.eventsourcing"
        self.env[Factory.STORAGE_ALIAS] = self.alias
        super().setUp()

    def expected_factory_class(self) -> type[Factory]:
        return Factory

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        return ChronosAggregateRecorder

    def expected_application_recorder_class(self) -> type[ApplicationRecorder]:
        return ChronosApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
        return ChronosTrackingRecorder

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        return OwnTrackingRecorder

    def expected_process_recorder_class(self) -> type[ProcessRecorder]:
        return ChronosProcessRecorder


@pytest.fixture(autouse=True)
def storage_of_each_alias(settings: Any) -> None:
    settings.CHRONOS_STORAGE = {
        "STORAGES": {
            alias: {"BACKEND": "chronos_storage.backends.orm.OrmBackend", "OPTIONS": {"USING": alias}}
            for alias in settings.DATABASES
        }
    }


def _on_each_database(*cases: type[Any]) -> dict[str, type[Any]]:
    made = {}
    for database in SQLITE_AND_POSTGRES:
        (alias,) = database.values
        for case in cases:
            name = f"Test{case.__name__.strip('_')}_{database.id}"
            own = type(name, (case,), {"alias": alias, "__test__": True, "__module__": __name__})
            made[name] = pytest.mark.django_db(databases=[alias], transaction=True)(own)
    return made


globals().update(_on_each_database(_Aggregate, _Application, _Tracking, _Process, _NonInterleaving, _Factory))
