"""Citus and pgvector for PostgreSQL 15, built from their sources where these are, and a cluster of them.

The sources are no part of this project: their folders are named by ``CITUS_SOURCE`` and ``PGVECTOR_SOURCE``, else they
are `../shared/citus` and `../shared/pgvector` beside the repository, each with one archive. What is built of them goes
into a copy of the system's PostgreSQL, which finds its libraries relative to its program, so that the system's stays as
it is and nobody needs to be root. The copy is kept for the next run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[1]
#: Where Debian's packages have PostgreSQL 15: the programs and libraries, and what they read.
_PROGRAMS, _SHARED = "usr/lib/postgresql/15", "usr/share/postgresql/15"
_PG_CONFIG = f"PG_CONFIG=/{_PROGRAMS}/bin/pg_config"
#: What the tests have of both, and with which steps each is built; another step makes another copy.
_STEPS: dict[str, tuple[Sequence[str], ...]] = {
    "citus": (
        ("./configure", _PG_CONFIG, "--without-pg-version-check", "--quiet"),
        ("make", "-j2", "-s", "with_llvm=no"),
        ("make", "-s", "install", "with_llvm=no"),
    ),
    "pgvector": (
        ("make", "-s", "OPTFLAGS=", _PG_CONFIG, "with_llvm=no"),
        ("make", "-s", "install", _PG_CONFIG, "with_llvm=no"),
    ),
}


def source(name: str) -> Path | None:
    """The archive with the source of "citus" or "pgvector"; None where there is none.

    Raises:
        RuntimeError: the environment names a folder without it.
    """
    named = os.environ.get(f"{name.upper()}_SOURCE")
    folder = Path(named) if named else _REPOSITORY.parent / "shared" / name
    found = sorted(folder.glob(f"{name}-*.tar.zst"))
    if named and not found:
        raise RuntimeError(f"{name.upper()}_SOURCE is {named!r}, where there is no archive of {name}")
    return found[-1] if found else None


def home() -> Path | None:
    """The folder of a PostgreSQL 15 with both, built now unless it was before; None where a source is not there.

    Raises:
        RuntimeError: it can't be built.
    """
    archives = {name: source(name) for name in _STEPS}
    found = {name: archive for name, archive in archives.items() if archive}
    if len(found) < len(archives):
        return None
    version = _run([f"/{_PROGRAMS}/bin/postgres", "--version"], Path("/"))
    digest = sha256(f"{version}{_STEPS}".encode())
    for archive in found.values():
        digest.update(archive.read_bytes())
    kept = _cache() / f"citus-{digest.hexdigest()[:16]}"
    with Path(f"{kept}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            _build(found, kept)
    return kept / _PROGRAMS


def _cache() -> Path:
    """A folder of ours for what takes long to build, which any user may enter, as the servers' does."""
    folder = Path(tempfile.gettempdir() if os.getuid() else "/var/tmp", f"chronos-built-{os.getuid()}")
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise RuntimeError(f"{folder} belongs to somebody else")
    return folder


def _build(archives: dict[str, Path], kept: Path) -> None:
    """Build all of it in a folder that gets its name when it is whole."""
    print("Building Citus, which takes a minute or two …", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix="building-") as folder:
        built = Path(folder, "built")
        for path in (_PROGRAMS, _SHARED):
            shutil.copytree(f"/{path}", built / path, symlinks=True)
        for name, archive in archives.items():
            _run(["tar", "--extract", "--file", str(archive)], Path(folder))
            (tree,) = Path(folder).glob(f"{name}-*")
            for step in _STEPS[name]:
                _run([*step, *([f"DESTDIR={built}"] if "install" in step else [])], tree)
        built.rename(kept)


def _run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def main() -> int:
    """Build what can be built; 2 where there is no source, with a word on what is not run then."""
    if home() is None:
        print("Not run on a cluster: the sources of Citus and pgvector are not found; see tests/citus.py.")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
