"""What changed from one checkpoint of a namespace to the next."""

from __future__ import annotations

from typing import Any

from ..differences import Place, differences
from ..ledger.pages import MAX_PAGE
from ..records import Checkpoint
from .json_media import encode

#: Changes that are listed of a checkpoint, at most.
MAX_CHANGES = 300


def history(page: list[Checkpoint], before: Checkpoint | None) -> list[dict[str, Any]]:
    """Each checkpoint of a page, the newest first, with what is different from the one after it.

    The changes of them all are bounded as the page's checkpoints are: each may list its share, and one change at least.

    Args:
        before: the checkpoint after the page's last; None if that is the first of all.
    """
    share = MAX_PAGE // max(1, len(page))
    return [_entry(*pair, share) for pair in zip(page, [*page, before][1:], strict=True)]


def _entry(checkpoint: Checkpoint, before: Checkpoint | None, share: int) -> dict[str, Any]:
    changes: list[dict[str, Any]] = []
    more = False
    for found in differences({} if before is None else before.state, checkpoint.state):
        change = {"path": _pointer(found.place), "kind": found.kind, "before": found.before, "after": found.after}
        share -= len(encode(change))
        if changes and (share < 0 or len(changes) == MAX_CHANGES):
            more = True
            break
        changes.append(change)
    return {"checkpoint": checkpoint, "changes": changes, "more": more}


def _pointer(place: Place) -> str:
    """A JSON Pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)
