"""The admin: everything that is stored can be looked at; what may be changed goes through the facade."""

from . import images, ledger, memory, queues, sessions

__all__ = ["images", "ledger", "memory", "queues", "sessions"]
