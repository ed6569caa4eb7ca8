"""Which versions of data a store has, and whether today's code reads all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from .. import upcasters
from ..facade import Storage

#: The kinds of records whose data have a version.
_KINDS = ("memory", "event", "checkpoint")
#: So many records are read between two calls of a progress.
_STRIDE = 1_000


@dataclass
class Version:
    """The data of one version of a schema in one kind of records.

    Attributes:
        count: how many records there are.
        id: that of one of them.
        session_id: and its session's; empty where it has none.
        reached: the version in which today's code reads them.
        newest: the newest version, which they should be read in: the one after the last upcaster, or without any the
            newest that is stored.
    """

    kind: str
    schema: str
    version: int
    count: int = 0
    id: str = ""
    session_id: str = ""
    reached: int = 0
    newest: int = 0

    def __str__(self) -> str:
        example = f"{self.id!r} of session {self.session_id!r}" if self.session_id else f"{self.id!r}"
        why = (
            f"newer than {self.newest}, the newest that this code knows"
            if self.version > self.newest
            else f"no upcaster leads from {self.reached} on to {self.newest}"
        )
        return f"{self.kind} {self.schema!r} version {self.version}: {self.count:,}, such as {example}; {why}"


@dataclass
class StateVersions:
    """What a check of the versions found.

    Attributes:
        records: how many were looked at.
        versions: how many kinds, schemas and versions they have, but those without a schema.
        unreached: those that no upcaster leads to the newest version.
    """

    records: int = 0
    versions: int = 0
    unreached: list[Version] = field(default_factory=list)

    @property
    def problem(self) -> str:
        """What is wrong; empty if nothing is."""
        return "Some data are of versions that no upcaster leads to the newest." if self.unreached else ""

    def as_dict(self) -> dict[str, Any]:
        """The counts and what is unreached, as JSON's types."""
        return asdict(self)

    def __str__(self) -> str:
        return f"Records: {self.records:,} in {self.versions:,} versions, {len(self.unreached):,} of them unreached."


def check_versions(storage: Storage, *, progress: Callable[[StateVersions], object] | None = None) -> StateVersions:
    """Look at the version of every event, memory and checkpoint that has a schema, as it is stored.

    Every record is read, page by page, which takes as long as an export.

    Args:
        progress: called now and then with what is known so far.
    """
    report = StateVersions()
    found: dict[tuple[str, str, int], Version] = {}
    for kind in _KINDS:
        for record in storage.scan(kind):
            report.records += 1
            if record.schema:
                place = kind, record.schema, record.schema_version
                if place not in found:
                    found[place] = Version(*place, id=record.id, session_id=record.session_id)
                    report.versions += 1
                found[place].count += 1
            if progress is not None and not report.records % _STRIDE:
                progress(report)
    stored: dict[str, int] = {}
    for version in found.values():
        stored[version.schema] = max(stored.get(version.schema, 0), version.version)
    for place in sorted(found):
        version = found[place]
        newest = upcasters.newest(version.schema)
        version.newest = stored[version.schema] if newest is None else newest
        version.reached = upcasters.reached(version.schema, version.version)
        if version.reached != version.newest:
            report.unreached.append(version)
    return report
