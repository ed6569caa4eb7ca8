"""Exporting into the JSON that AgentX' own script writes: containers, images, sessions, and messages by session."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from .. import codec
from ..exceptions import InvalidRecord
from ..facade import Storage
from ..interfaces import agentx_records as agentx
from .chosen import Chosen, Selection
from .exported import Notes
from .exporting import Exported
from .files import packing_of

#: How a record of each kind becomes AgentX' own.
_RECORDS: dict[str, Callable[[Any], Any]] = {
    "container": agentx.container_record,
    "image": agentx.image_record,
    "session": agentx.session_record,
    "message": agentx.message_record,
}


def export_agentx(
    storage: Storage,
    out: Path,
    chosen: Chosen | None = None,
    *,
    progress: Callable[[Exported], object] | None = None,
) -> Exported:
    """Write what AgentX knows of a store's records, and of sessions that are not soft-deleted, into a file.

    While it is written its name ends with ``.part``; broken off, it is begun anew.

    Args:
        out, chosen, progress: as of `exporting.export`.

    Raises:
        InvalidRecord: the file is there, or its name asks for packing, which AgentX doesn't read.
        NotFound: there is no such session.
    """
    if out.exists():
        raise InvalidRecord("out", f"{out} is there already: remove it, or give another name")
    if packing_of(out) is not None:
        raise InvalidRecord("out", "AgentX reads plain JSON: give a name that ends with .json")
    part = out.with_name(f"{out.name}.part")
    with part.open("wb") as file, closing(Notes()) as notes, storage.backend.snapshot() as is_snapshot:
        report = Exported(str(out), snapshot=is_snapshot)
        _Writing(storage, chosen or Chosen(), notes, file, report, progress).run()
    part.rename(out)
    return report


class _Writing:
    def __init__(
        self,
        storage: Storage,
        chosen: Chosen,
        notes: Notes,
        file: IO[bytes],
        report: Exported,
        progress: Callable[[Exported], object] | None,
    ) -> None:
        self._storage = storage
        self._notes = notes
        self._selection = Selection(storage, chosen, notes)
        self._file = file
        self._report = report
        self._progress = progress

    def run(self) -> None:
        for session in self._sessions():
            self._notes.add("session", session.id)
            self._notes.add("container", session.container_id)
            self._notes.add("image", session.image_id)
        self._write("{")
        for kind in ("container", "image"):
            self._write_list(f'"{kind}s":', kind, self._selection.records(kind, None))
            self._write(",\n")
        self._write_list('"sessions":', "session", filter(self._is_noted, self._sessions()))
        self._write(',\n"messages":{')
        mark = "\n"
        for id in self._notes.all("session"):
            self._write_list(f"{mark}{codec.quoted(id)}:", "message", self._storage.iter_messages(id))
            mark = ",\n"
        self._write("\n}}\n")

    def _sessions(self) -> Iterator[Any]:
        return (session for session in self._selection.sessions() if session.deleted_at is None)

    def _is_noted(self, session: Any) -> bool:
        return self._notes.has("session", session.id)

    def _write_list(self, name: str, kind: str, records: Iterable[Any]) -> None:
        self._write(f"{name}[")
        mark = "\n"
        for record in records:
            self._write(mark + json.dumps(_RECORDS[kind](record).to_json(), ensure_ascii=False))
            self._report.counts[kind] += 1
            if self._progress is not None:
                self._progress(self._report)
            mark = ",\n"
        self._write("]")

    def _write(self, text: str) -> None:
        data = text.encode()
        self._file.write(data)
        self._report.size += len(data)
