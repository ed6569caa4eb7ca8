"""The queue over Django's models keeps the contract, on every database."""

from __future__ import annotations

from chronos_storage.testing import EventQueueConformance


class TestOrmQueue(EventQueueConformance):
    pass
