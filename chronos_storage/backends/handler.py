"""Aliases of storages, as Django's CACHES has them for caches."""

from __future__ import annotations

from collections.abc import Iterator
from threading import RLock
from typing import Any, cast

from django.core.signals import setting_changed
from django.utils.connection import ConnectionProxy
from django.utils.module_loading import import_string

from .. import conf
from ..exceptions import ConfigurationError
from .base import Storage

DEFAULT_ALIAS = "default"


class StorageHandler:
    """``storages["alias"]``: the storages of ``CHRONOS_STORAGE["STORAGES"]``, each made when it is first asked for.

    Without the setting, "default" is the storage over Django's models.
    """

    def __init__(self) -> None:
        self._storages: dict[str, Storage] = {}
        self._lock = RLock()  # a backend may be made of another

    def __getitem__(self, alias: str) -> Storage:
        with self._lock:
            if alias not in self._storages:
                self._storages[alias] = self._create(alias)
            return self._storages[alias]

    def __iter__(self) -> Iterator[str]:
        return iter(self._configured())

    def _configured(self) -> dict[str, Any]:
        return {DEFAULT_ALIAS: {"BACKEND": conf.ORM_BACKEND}, **conf.section("STORAGES")}

    def _create(self, alias: str) -> Storage:
        where = f'CHRONOS_STORAGE["STORAGES"]["{alias}"]'
        try:
            configured = self._configured()[alias]
        except KeyError:
            raise ConfigurationError(f"{where} is not configured") from None
        if "BACKEND" not in configured:
            raise ConfigurationError(f'{where} has no "BACKEND"')
        try:
            backend = import_string(str(configured["BACKEND"]))
        except ImportError as error:
            name = configured["BACKEND"]
            raise ConfigurationError(f'{where}: its "BACKEND" {name!r} can\'t be imported: {error}') from error
        options = {name.lower(): value for name, value in configured.get("OPTIONS", {}).items()}
        try:
            return cast(Storage, backend(**options))
        except TypeError as error:
            raise ConfigurationError(f'{where}: its "OPTIONS" don\'t fit: {error}') from error

    def reset(self) -> None:
        """Forget the storages, after the setting has changed."""
        with self._lock:
            self._storages.clear()


storages = StorageHandler()
#: The storage with the alias "default".
storage = cast(Storage, ConnectionProxy(cast(Any, storages), DEFAULT_ALIAS))


def _setting_changed(*, setting: str, **kwargs: Any) -> None:
    if setting == conf.NAME:
        storages.reset()


setting_changed.connect(_setting_changed)
