"""`StorageConformance` as pytest collects it: see `report`."""

from __future__ import annotations

from .conformance import StorageConformance


class TestStorage(StorageConformance):
    pass
