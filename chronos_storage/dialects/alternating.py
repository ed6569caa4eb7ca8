"""What the providers have in common where users and the model take turns, and the system speaks apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .said import SYSTEMS, Part, Said, labelled

#: What must stand before an answer of the model that nobody asked for, as where what came before is left out.
OPENING = "[What came before is left out.]"


def turns(
    messages: Iterable[Said], block: Callable[[Part, str], dict[str, Any] | None]
) -> Iterator[tuple[str, list[Any]]]:
    """Who speaks, ``user`` or ``assistant``, and the blocks of all that follows each other from the same side.

    Args:
        block: a part in the provider's form, given with its role; None to leave it out.
    """
    last, blocks = "", list[Any]()
    for said in messages:
        side = "assistant" if said.role == "assistant" else "user"
        parts = said.parts
        if said.role in SYSTEMS:
            parts = labelled(said.role, parts)
        if not (own := [each for part in parts if (each := block(part, said.role)) is not None]):
            continue
        if side != last and blocks:
            yield last, blocks
            blocks = []
        last = side
        blocks += own
    if blocks:
        yield last, blocks
