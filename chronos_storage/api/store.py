"""The storage that the API serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..backends.handler import DEFAULT_ALIAS, storages
from ..backends.orm import OrmStorage
from ..exceptions import ConfigurationError
from ..transactions import retried

T = TypeVar("T")


@retried
def transacted(storage: OrmStorage, work: Callable[[], T]) -> T:
    """What `work` returns, in one transaction of the storage, which is attempted again as its own methods are."""
    with storage.transaction():
        return work()


def served() -> OrmStorage:
    """The storage with the alias "default".

    Raises:
        ConfigurationError: it is not the ORM's, whose querysets the API reads.
    """
    storage = storages[DEFAULT_ALIAS]
    if not isinstance(storage, OrmStorage):
        raise ConfigurationError(
            f'the REST API serves an OrmStorage, and CHRONOS_STORAGE["STORAGES"]["{DEFAULT_ALIAS}"] is a '
            f"{type(storage).__name__}"
        )
    return storage
