"""The one queue of the settings."""

from __future__ import annotations

from typing import Any

from .. import conf
from ..backends.handler import DEFAULT_ALIAS, AliasHandler
from ..compat.connections import alias_proxy
from ..exceptions import ConfigurationError
from .base import EventQueue


class QueueHandler(AliasHandler[EventQueue]):
    """What the section configures itself, without aliases."""

    def where(self, alias: str) -> str:
        return f'{conf.NAME}["{self.section}"]'

    def _configured(self) -> dict[str, Any]:
        section = conf.section(self.section)
        if not isinstance(section, dict):
            raise ConfigurationError(f"{self.where(DEFAULT_ALIAS)} must be a dict")
        return {DEFAULT_ALIAS: {"BACKEND": conf.QUEUE_BACKEND, **section}}

    @property
    def only(self) -> EventQueue:
        """The queue itself, where `queue` stands for it."""
        return self[DEFAULT_ALIAS]

    def reset(self) -> None:
        for made in self._made.values():
            made.close()
        super().reset()


queue_handler: QueueHandler = QueueHandler("QUEUE", conf.QUEUE_BACKEND)
#: The event queue.
queue: EventQueue = alias_proxy(queue_handler, DEFAULT_ALIAS)
