"""The append-only ledger: events and audit logs that can't be changed or removed, each in a hash chain.

`purge_permit` is the one way to remove rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .permit import purge_permit as purge_permit

__all__ = ["purge_permit"]

if not TYPE_CHECKING:  # or type checkers would take any name for one that is here

    def __getattr__(name: str) -> Any:
        # Deferred: the permit needs the models, and so an app registry that is ready.
        if name == "purge_permit":
            from .permit import purge_permit

            return purge_permit
        raise AttributeError(name)
