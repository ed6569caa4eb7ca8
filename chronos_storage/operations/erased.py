"""What an erasure comes to: the receipt."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

#: What every receipt says.
BACKUPS = (
    "Backups, exports, replicas and logs from before are not covered: what they hold of the person is there still."
)


@dataclass
class Erased:
    """What was erased of a person, or would be.

    Attributes:
        user: ``sha256:`` and the SHA-256 of the user's id.
        counts: how many records of each kind; ``file`` are those of artifacts' bytes that nobody else has.
        digests: of each kind the SHA-256 of the records as an export writes them, line by line.
        held: the sessions that are under a legal hold, and were left with all that belongs to them.
        remains: what may still be there of the person, on the disk or as nobody can tell whose it is, in words.
        receipt: the id of the audit entry that says all this; empty where nothing was erased.
    """

    user: str
    is_dry_run: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    digests: dict[str, str] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    remains: list[str] = field(default_factory=list)
    began_at: str = ""
    ended_at: str = ""
    receipt: str = ""
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON's types, and what it does not cover."""
        found = {name: value for name, value in vars(self).items() if name not in ("problem", "counts", "is_dry_run")}
        return {"dry_run": self.is_dry_run, **found, "counts": dict(self.counts), "backups": BACKUPS}

    def __str__(self) -> str:
        held = f", {len(self.held):,} sessions left under a legal hold" if self.held else ""
        verb = "to be erased" if self.is_dry_run else "erased"
        kinds = "".join(f", {count:,} {kind}" for kind, count in sorted(self.counts.items()))
        return f"Records: {self.counts.total():,} {verb}{kinds}{held}."
