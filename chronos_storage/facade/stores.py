"""The storages that the settings name."""

from __future__ import annotations

from typing import Any

from .. import conf
from ..backends.base import Backend
from ..backends.handler import DEFAULT_ALIAS, AliasHandler
from ..exceptions import ConfigurationError
from .observing import observed
from .storage import Storage


def over(made: Any, where: str) -> Storage:
    """A storage over the backend that a class or function made, which may be a storage already.

    Raises:
        ConfigurationError: it is neither; `where` says what named it.
    """
    if isinstance(made, Storage):
        return observed(made)
    if not isinstance(made, Backend):
        raise ConfigurationError(f"{where} made a {type(made).__name__}; it must make a chronos_storage.Backend")
    return observed(Storage(made))


class StorageHandler(AliasHandler[Storage]):
    """``storages["alias"]``: a storage over the backend that ``CHRONOS_STORAGE["STORAGES"]`` configures."""

    def finish(self, made: Any, where: str) -> Storage:
        return over(made, where)


class DefaultStorage(Storage):
    """The storage with the alias "default", whichever the settings name by now, and whatever its class overrides."""

    def __init__(self) -> None:
        """There is no backend until it is asked for."""

    def __getattribute__(self, name: str) -> Any:
        is_python_s = name.startswith("__")
        return object.__getattribute__(self, name) if is_python_s else getattr(storages[DEFAULT_ALIAS], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(storages[DEFAULT_ALIAS], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(storages[DEFAULT_ALIAS], name)

    def __repr__(self) -> str:
        return repr(storages[DEFAULT_ALIAS])


storages: StorageHandler = StorageHandler("STORAGES", conf.ORM_BACKEND)
#: The storage with the alias "default".
storage: Storage = DefaultStorage()
