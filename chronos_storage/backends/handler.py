"""Aliases of storages, as Django's CACHES has them for caches."""

from __future__ import annotations

from collections.abc import Iterator
from threading import RLock
from typing import Any, Generic, TypeVar, cast

from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from .. import conf
from ..exceptions import ConfigurationError
from ..extras import advice
from ..forks import PerProcess

B = TypeVar("B")

DEFAULT_ALIAS = "default"


class AliasHandler(PerProcess, Generic[B]):
    """``handler["alias"]``: what a section of ``CHRONOS_STORAGE`` configures, each made when it is first asked for.

    Args:
        section: the section's name, such as ``STORAGES``.
        backend: the dotted path of what "default" is without the setting.
    """

    def __init__(self, section: str, backend: str) -> None:
        self.section = section
        self._backend = backend
        self._made: dict[str, B] = {}
        setting_changed.connect(self._setting_changed)
        super().__init__()

    def begin(self) -> None:
        self._lock = RLock()  # a backend may be made of another

    def __getitem__(self, alias: str) -> B:
        with self._lock:
            if alias not in self._made:
                self._made[alias] = self._create(alias)
            return self._made[alias]

    def __iter__(self) -> Iterator[str]:
        return iter(self._configured())

    def _configured(self) -> dict[str, Any]:
        entries = conf.section(self.section)
        if not isinstance(entries, dict):
            raise ConfigurationError(f'{conf.NAME}["{self.section}"] must be a dict')
        return {DEFAULT_ALIAS: {"BACKEND": self._backend}, **entries}

    def where(self, alias: str) -> str:
        """The place in the settings that configures an alias."""
        return f'{conf.NAME}["{self.section}"]["{alias}"]'

    def _create(self, alias: str) -> B:
        where = self.where(alias)
        try:
            configured = self._configured()[alias]
        except KeyError:
            raise ConfigurationError(f"{where} is not configured") from None
        made = make(where, configured)
        return self.finish(made, f'{where}: its "BACKEND" {configured["BACKEND"]!r}')

    def finish(self, made: Any, where: str) -> B:
        """What a backend's class or function made, as it is handed out; `where` is for errors."""
        return cast(B, made)

    def reset(self) -> None:
        """Forget what was made, after the settings have changed."""
        with self._lock:
            self._made.clear()

    def _setting_changed(self, *, setting: str, **kwargs: Any) -> None:
        if setting in (conf.NAME, "DATABASE_ROUTERS"):  # which say what is made where no alias is named
            self.reset()


def make(where: str, configured: Any) -> Any:
    """What the class or function gives that an entry of the settings names, called with its options.

    Args:
        where: the entry, for errors.

    Raises:
        ConfigurationError: it can't be imported, or its options don't fit.
    """
    if not isinstance(configured, dict):
        raise ConfigurationError(f"{where} must be a dict")
    if "BACKEND" not in configured:
        raise ConfigurationError(f'{where} has no "BACKEND"')
    try:
        backend = import_string(str(configured["BACKEND"]))
    except ImportError as error:
        raise _not_imported(where, configured["BACKEND"], error) from error
    options = {name.lower(): value for name, value in configured.get("OPTIONS", {}).items()}
    try:
        return backend(**options)
    except TypeError as error:
        raise ConfigurationError(f'{where}: its "OPTIONS" don\'t fit: {error}') from error
    except ImportError as error:
        raise _not_imported(where, configured["BACKEND"], error) from error


def _not_imported(where: str, name: Any, error: ImportError) -> ConfigurationError:
    return ConfigurationError(f'{where}: its "BACKEND" {name!r} can\'t be imported: {error}{advice(error)}')
