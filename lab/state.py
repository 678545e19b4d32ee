"""A run of the lab: one folder with everything it started, so that all of it can be removed.

The next run (of anybody: `make lab`, a test session) removes what a killed one left behind.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab import cleanup
from lab.hosts import Network
from lab.processes import RECORD_SUFFIX, Process, identify, read_record, write_record

PREFIX = os.environ.get("BERTH_LAB_PREFIX", "bl")
OWNER = "owner.json"
"""Who the run belongs to. Never ended by a clean-up, so no `RECORD_SUFFIX`."""


def base_directory() -> Path:
    """Short, because socket paths end at 108 bytes; on a disk, because engines keep images there."""
    # Others can guess the name: `locked` refuses a folder that is not ours.
    default = f"/var/tmp/berth-lab-{os.getuid()}"  # nosec B108
    return Path(os.environ.get("BERTH_LAB_DIR", default))


@contextmanager
def locked() -> Iterator[Path]:
    """One at a time on this machine: making and removing runs, choosing a subnet."""
    base = base_directory()
    base.mkdir(mode=0o711, parents=True, exist_ok=True)
    if base.stat().st_uid != os.getuid() or base.is_symlink():
        raise RuntimeError(f"{base} belongs to somebody else: set BERTH_LAB_DIR to a folder of your own")
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield base


class Run:
    """Use as a context manager, or call `close()`. `id` also names the run's cable and namespaces."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.id = directory.name
        self._network: Network | None = None

    @classmethod
    def create(cls, prefix: str = PREFIX) -> Run:
        """Removes what killed runs left, then begins one that belongs to this process."""
        with locked() as base:
            clean_stale(base)
            directory = base / f"{prefix}{secrets.token_hex(2)}"
            directory.mkdir(mode=0o711)
            write_record(directory / OWNER, identify(os.getpid()))
        return cls(directory)

    @property
    def network(self) -> Network:
        """The run's network, made at first use (root only)."""
        if self._network is None:
            with locked():
                self._network = Network.create(self.id)
        return self._network

    def process(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        netns: str | None = None,
    ) -> Process:
        """A program of this run, not yet started; its log is `NAME.log` in the run's folder."""
        log = self.directory / f"{name}.log"
        record = self.directory / f"{name}{RECORD_SUFFIX}"
        return Process(record, argv, log=log, env=env, cwd=cwd, user=user, netns=netns)

    def subdirectory(self, name: str, mode: int = 0o700) -> Path:
        path = self.directory / name
        path.mkdir(mode=mode, exist_ok=True)
        return path

    def close(self) -> None:
        """Ends and removes all of it, containers too. May be called twice."""
        if self.directory.exists():
            cleanup.remove_run(self.directory)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def clean_stale(base: Path) -> list[str]:
    """Removes the runs whose owner is gone and says which. The caller holds the lock."""
    removed = []
    for directory in sorted(path for path in base.iterdir() if path.is_dir()):
        owner = read_record(directory / OWNER)
        if owner is None or not owner.alive:
            cleanup.remove_run(directory)
            removed.append(directory.name)
    return removed
