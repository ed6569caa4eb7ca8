"""Running the programs of a database's server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from ..exceptions import StoreFailure

#: Bytes that are read at once.
CHUNK = 1 << 20


def program(name: str) -> str:
    """The path of a program that reads backups.

    Raises:
        StoreFailure: it is not installed.
    """
    if (found := shutil.which(name)) is None:
        raise StoreFailure(f"{name} is not installed, which reads such a backup")
    return found


def version_of(program: str) -> str:
    """What a program says of itself."""
    return run([program, "--version"], {})


def run(
    command: Sequence[str],
    variables: dict[str, str],
    *,
    source: Iterator[bytes] | None = None,
    sink: IO[bytes] | Any = None,
    progress: Callable[[int], object] | None = None,
) -> str:
    """Run a program to its end; returns what it printed, unless that goes elsewhere.

    Raises:
        StoreFailure: it failed; with the last that it said.
    """
    pieces, size = [], 0
    for piece in printed(command, variables, source):
        if sink is None:
            pieces.append(piece)
            continue
        sink.write(piece)
        size += len(piece)
        if progress is not None:
            progress(size)
    return b"".join(pieces).decode(errors="replace")


def printed(
    command: Sequence[str], variables: dict[str, str], source: Iterator[bytes] | None = None
) -> Iterator[bytes]:
    """Run a program to its end; what it prints, piece by piece, or nothing where it is given something.

    Raises:
        StoreFailure: it failed; with the last that it said.
    """
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603 - a program of the server's, and what the settings say
            command,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL if source is None else subprocess.PIPE,
            stdout=said if source is not None else subprocess.PIPE,
            stderr=said,
            start_new_session=True,  # Ctrl-C is for us, who end it
        ) as process,
    ):
        try:
            if source is not None:
                _give(process, source)
            elif process.stdout is not None:
                yield from iter(partial(process.stdout.read1, CHUNK), b"")  # type: ignore[attr-defined]
            process.wait()
        except BaseException:
            process.kill()
            raise
        if process.returncode:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
            why = [line for line in lines if "error" in line.lower()] or lines
            raise StoreFailure(f"{Path(command[0]).name} failed: {why[-1]}")


def _give(process: subprocess.Popen[bytes], source: Iterator[bytes]) -> None:
    stdin: Any = process.stdin
    try:
        for piece in source:
            stdin.write(piece)
        stdin.close()
    except BrokenPipeError:  # it has ended, and said why
        with suppress(BrokenPipeError):
            stdin.close()
