"""The append-only ledger: events and audit logs that can't be changed or removed, each in a hash chain.

`purge_permit` is the one way to remove rows.
"""

from __future__ import annotations

from typing import Any

__all__ = ["purge_permit"]


def __getattr__(name: str) -> Any:
    # Deferred: the permit needs the models, and the models need this package.
    if name == "purge_permit":
        from .permit import purge_permit

        return purge_permit
    raise AttributeError(name)
