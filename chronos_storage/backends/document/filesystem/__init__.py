"""Records as files that a person reads: JSON in folders that can be browsed, copied, and kept under version control."""

from __future__ import annotations

import os

from ..backend import DocumentBackend
from .driver import FilesystemDriver
from .root import folder_at

__all__ = ["FilesystemBackend", "FilesystemDriver"]


class FilesystemBackend(DocumentBackend):
    """Records as JSON files in a folder, which threads and processes of one machine may share.

    Args:
        folder: made where it isn't there; in the user's home if it begins with ``~/``.
        url: instead of that, its address, ``file:///folder``.

    Raises:
        ConfigurationError: neither is given, or the address is none of a folder.
    """

    def __init__(self, folder: str | os.PathLike[str] = "", *, url: str = "") -> None:
        super().__init__(FilesystemDriver(folder_at(url) if url else folder))
