from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True, frozen=True)
class Health:
    """Whether a store can be reached and used.

    Attributes:
        backend: the backend's dotted path.
        store: what it stores in, such as ``postgresql 18.1``; empty where it can't be reached.
        latency: seconds that one small read took; None where it failed.
        problems: what keeps the store from being used, in words; empty if nothing does.
    """

    backend: str
    store: str = ""
    latency: float | None = None
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the store can be used."""
        return not self.problems
