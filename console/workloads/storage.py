"""Where logs of ended containers are kept: a folder that all web processes and workers share."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from django.core.files import File
from django.core.files.storage import FileSystemStorage

ROOM = 256 * 1024 * 1024
"""Bytes of the disk that are left to others: often the database is on it."""


class LogStorage(FileSystemStorage):
    """Files appear whole or not at all, and are on the disk once `save` returns. The same name is replaced."""

    def __init__(self, location: str | Path | None = None) -> None:
        super().__init__(
            location,
            base_url=None,
            file_permissions_mode=0o600,
            directory_permissions_mode=0o700,
            allow_overwrite=True,
        )

    def _save(self, name: str, content: File) -> str:  # type: ignore[type-arg]  # not generic at run time
        path = Path(self.path(name))
        try:
            temporary = _beside(path)
        except FileNotFoundError:  # a sweep took the empty folder away just now
            temporary = _beside(path)
        try:
            with temporary.open("wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return name

    def room(self) -> int:
        """Bytes that may still be stored."""
        path = Path(self.location)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return shutil.disk_usage(path).free - ROOM

    def prune(self, folder: str) -> None:
        """Take away a folder if it is empty, and those above it that become so."""
        with suppress(OSError):
            while folder:
                Path(self.path(folder)).rmdir()
                folder = folder.rpartition("/")[0]


def _beside(path: Path) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    os.close(handle)
    return Path(name)
