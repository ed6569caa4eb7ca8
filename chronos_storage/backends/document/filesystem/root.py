"""The folder that everything is in: whose it is, and what tells so."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ....exceptions import ConfigurationError
from . import disk

#: Where the index and the lock are, beneath the folder. All of it can be made anew.
INDEX_FOLDER = ".chronos"
#: The file that says what the folder holds.
_MARKER = "chronos.json"
_FORMAT, _VERSION = "chronos-storage", 1


def folder_at(url: str) -> str:
    """The folder that an address names.

    Raises:
        ConfigurationError: it names none, or none by its absolute path.
    """
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise ConfigurationError("a file:// address has no options, and writes %3F for a ? and %23 for a # of its path")
    if parts.netloc not in ("", "localhost") or not parts.path.strip("/"):
        raise ConfigurationError(
            "a file:// address names a folder by its absolute path: file:///folder, as pathlib.Path.as_uri() writes it"
        )
    return url2pathname(parts.path)


def absolute(folder: str | os.PathLike[str]) -> Path:
    """A folder by its absolute path, in the user's home if it begins with ``~/``.

    Raises:
        ConfigurationError: it is empty.
    """
    if not os.fspath(folder):
        raise ConfigurationError("the folder must be given, such as data")
    return Path(os.path.abspath(os.path.expanduser(folder)))  # noqa: PTH100, PTH111 - what isn't there isn't resolved


def make_folders(folder: Path) -> None:
    """Make the folder and the one for the index in it, private to their owner, unless it is somebody else's.

    Raises:
        ConfigurationError: it is a file, holds something else, or is of a later version.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file; name a folder")
    if folder.is_dir() and not (folder / _MARKER).exists():
        # What is hidden may be version control's, and another process may be about to put the marker there.
        others = [name for each in folder.iterdir() if not (name := each.name).startswith((".", _MARKER))]
        if others and not (folder / _MARKER).exists():
            raise ConfigurationError(
                f"{folder} holds something else ({min(others)}): name an empty folder, or one with a {_MARKER}"
            )
    if (found := disk.read(str(folder / _MARKER))) is not None:
        _require_known(folder / _MARKER, found[0])
    disk.make_folder(folder / INDEX_FOLDER)


def mark(folder: Path) -> None:
    """Say what the folder holds. One process at a time may do so."""
    if not (folder / _MARKER).exists():
        disk.write(str(folder / INDEX_FOLDER / ".gitignore"), "*\n")
        disk.write(str(folder / _MARKER), json.dumps({"format": _FORMAT, "version": _VERSION}, indent=2) + "\n")
        disk.sync(folder.parent, [f"{folder.name}/{_MARKER}"])


def _require_known(marker: Path, text: str) -> None:
    try:
        value = json.loads(text)
        kind, version = value["format"], int(value["version"])
    except (ValueError, TypeError, KeyError):
        raise ConfigurationError(f"{marker} is not of this package, or was changed: name another folder") from None
    if kind != _FORMAT:
        raise ConfigurationError(f"{marker} is not of this package: name another folder")
    if version > _VERSION:
        raise ConfigurationError(f"{marker} is of version {version}, later than this package knows: upgrade it")
