"""A host's own small disk: full to the last byte, and free again."""

from __future__ import annotations

import errno
import os

import pytest

from lab.cleanup import unmount_below
from lab.disks import MIB, SmallDisk
from lab.state import Run
from tests.conftest import require


def test_a_full_disk_takes_nothing_until_it_is_freed(run: Run) -> None:
    require("needs root: the disk is mounted" if os.geteuid() else "")
    disk = SmallDisk(run.directory / "small", 4 * MIB)
    disk.mount()
    disk.mount()
    try:
        file = disk.directory / "file"
        disk.fill()
        with pytest.raises(OSError) as full:
            file.write_bytes(b"x")
        assert full.value.errno == errno.ENOSPC
        disk.free()
        file.write_bytes(bytes(MIB))
        assert file.stat().st_size == MIB
    finally:
        unmount_below(run.directory)
