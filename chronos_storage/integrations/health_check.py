"""A check for django-health-check, which shows it beside those of the host's database, cache and queue."""

from __future__ import annotations

import dataclasses

from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable

from .. import storages
from ..health import logged


@dataclasses.dataclass
class StorageHealthCheck(HealthCheck):  # type: ignore[misc]  # which is not typed
    """Whether a storage can be reached and used; what is wrong goes to the log ``chronos_storage.health``.

    Args:
        alias: the storage's, in the settings.
    """

    alias: str = "default"

    async def run(self) -> None:
        if logged(self.alias, await storages[self.alias].ahealth()):
            raise ServiceUnavailable(f"the storage {self.alias!r} can't be used")
