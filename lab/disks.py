"""A small file system of its own for one host, so that it can be filled."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from lab.hosts import run

MIB = 1024**2


class SmallDisk:
    """`size` bytes in memory, mounted at `directory`; the run's clean-up unmounts it. Needs root."""

    def __init__(self, directory: Path, size: int) -> None:
        self.directory, self.size = directory, size
        self._filler = directory / "filler"

    def mount(self) -> None:
        """Nothing happens when it is mounted."""
        self.directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        if not self.directory.is_mount():
            options = f"size={self.size},mode=711"
            run("mount", "-t", "tmpfs", "-o", options, "berth-lab", str(self.directory))

    def fill(self) -> None:
        """To the last byte."""
        with self._filler.open("ab", buffering=0) as filler:
            for block in (bytes(MIB), bytes(4096), b"\0"):
                _write_until_full(filler.write, block)

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)


def _write_until_full(write: Callable[[bytes], int | None], block: bytes) -> None:
    while True:
        try:
            if write(block) == 0:
                return
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return
