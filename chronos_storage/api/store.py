"""The storage that the API serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import transaction

from ..backends.handler import DEFAULT_ALIAS
from ..backends.orm import OrmBackend
from ..exceptions import ConfigurationError
from ..facade import Storage
from ..facade.base import translated_refusals
from ..facade.stores import storages

T = TypeVar("T")


def transacted(storage: Storage, work: Callable[[], T]) -> T:
    """What `work` returns, in one transaction of the storage, which is attempted again as its own methods are."""

    def run() -> T:
        with transaction.atomic(using=storage.alias):
            return work()

    with translated_refusals():
        return storage.backend.run(run)


def api_storage() -> Storage:
    """The storage with the alias "default".

    Raises:
        ConfigurationError: it is not the ORM's, whose querysets the API reads.
    """
    storage = storages[DEFAULT_ALIAS]
    if not isinstance(storage.backend, OrmBackend):
        raise ConfigurationError(
            f'the REST API serves an OrmBackend, and CHRONOS_STORAGE["STORAGES"]["{DEFAULT_ALIAS}"] is a '
            f"{type(storage.backend).__name__}"
        )
    return storage
