"""Scopes: what credentials read and write of that which their owner may.

Credentials have scopes if `request.auth` is `Scoped`, as an API key is. ``read`` and ``write`` are for every data type,
``messages:read`` and the like for one, by the name that the API's paths give it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework.exceptions import PermissionDenied

from ..ledger.mapping import TABLES
from ..records import KINDS
from .access import Verb


def path_of(kind: str) -> str:
    """What the paths call the records of a kind."""
    return kind if kind == "memory" else f"{kind.replace('_', '-')}s"


#: What the paths call the rows of a model, by its label: an app of its own need not be installed.
DATA_TYPES: dict[str, str] = {
    **{TABLES[record].model._meta.label_lower: path_of(kind) for kind, record in KINDS.items()},
    "chronos_storage.queueentry": "topics",
    "chronos_vectors.collection": "collections",
    "chronos_vectors.embedding": "collections",
}
#: All that there are.
SCOPES: tuple[str, ...] = (
    "read",
    "write",
    *(f"{name}:{way}" for name in dict.fromkeys(DATA_TYPES.values()) for way in ("read", "write")),
)


class Scoped:
    """Credentials that give no more than their scopes, and never more than their owner may.

    Attributes:
        scopes: each one of `SCOPES`; without any, nothing can be read or written.
    """

    scopes: list[str]


def check_scopes(auth: Any, needed: Iterable[tuple[Verb, Any]]) -> None:
    """Raise `PermissionDenied` where credentials have scopes, and none for one of these verbs and models."""
    if isinstance(auth, Scoped):
        for verb, model in needed:
            way = "read" if verb == "view" else "write"
            own = f"{DATA_TYPES.get(model._meta.label_lower, model._meta.label_lower)}:{way}"
            if not {way, own}.intersection(auth.scopes):
                raise PermissionDenied(f"This needs the scope {own}, which the credentials don't have.")
