"""Removes all of a run: programs, containers, mounts, namespaces, cables, files.

`python -m lab.cleanup` does it for every run whose owner is gone.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from lab import hosts
from lab.processes import RECORD_SUFFIX, Identity, all_pids, read_record, send, session_members, wait_until

DEPTHS = ("", "*/", "*/*/")
"""A run's programs keep their records in its folder, an engine's folder, or the engine of a BERTH_HOME."""


def remove_run(directory: Path) -> None:
    """Leaves nothing of the run in `directory`."""
    records = [path for depth in DEPTHS for path in directory.glob(f"{depth}*{RECORD_SUFFIX}")]
    end_programs([identity for record in records if (identity := read_record(record))])
    folders = [path for depth in DEPTHS for path in directory.glob(f"{depth}data/containers")]
    end_containers(directory, [entry.name for folder in folders for entry in folder.iterdir()])
    unmount_below(directory)
    if os.geteuid() == 0:
        hosts.remove(directory.name)
    shutil.rmtree(directory, ignore_errors=True)
    if directory.exists():
        raise RuntimeError(f"{directory} could not be removed")


def end_programs(identities: list[Identity]) -> None:
    """Asks all at once, waits up to 5 s, then ends by force what is left of their sessions."""
    for identity in identities:
        if identity.alive:
            send(identity.pid, identity.end_with)
    wait_until(lambda: not any(identity.alive for identity in identities), 5.0)
    for identity in identities:
        for pid in session_members(identity):
            send(pid, signal.SIGKILL)
    wait_until(lambda: not any(session_members(identity) for identity in identities), 5.0)


def end_containers(directory: Path, engine_ids: list[str]) -> None:
    """Kills what outlives an engine: its containerd, the shims, and the containers' own processes."""

    def left() -> list[int]:
        return [pid for pid in all_pids() if _is_helper(pid, directory) or _is_inside(pid, engine_ids)]

    for _ in range(50):
        pids = left()
        if not pids:
            break
        for pid in pids:
            send(pid, signal.SIGKILL)
        wait_until(lambda: not left(), 0.2)
    for group in list(_groups(engine_ids)):
        wait_until(lambda group=group: _remove_group(group), 1.0)  # type: ignore[misc]


def _groups(engine_ids: list[str]) -> Iterator[Path]:
    """Of these engines. Others' groups, which come and go meanwhile, end no walk."""
    for folder, names, _files in os.walk("/sys/fs/cgroup"):
        if folder.endswith("/docker"):
            yield from (Path(folder, name) for name in names if name in engine_ids)


def containerd_of(directory: Path) -> list[int]:
    """The containerd that an engine with its data in `directory` started for itself."""
    config = f"{directory}/exec/containerd/containerd.toml"
    return [pid for pid in all_pids() if config in _read(pid, "cmdline").split("\0")]


def _is_helper(pid: int, directory: Path) -> bool:
    """containerd, its shims and the engine's port proxies carry a path of their run on the command line."""
    text = _read(pid, "cmdline")
    program = Path(text.split("\0", 1)[0]).name
    return program.startswith(("containerd", "dockerd", "docker-proxy")) and f"{directory}/" in text


def _is_inside(pid: int, engine_ids: list[str]) -> bool:
    groups = _read(pid, "cgroup")
    return any(engine_id in groups for engine_id in engine_ids)


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return ""


def _remove_group(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def unmount_below(directory: Path) -> None:
    """Unmounts everything under a folder, the deepest first."""
    for mount in sorted(_mounts_below(directory), key=len, reverse=True):
        try:
            hosts.run("umount", "-l", mount)
        except RuntimeError:
            # Some go by themselves meanwhile, as a container's do with its last process.
            if mount in _mounts_below(directory):
                raise


def _mounts_below(directory: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    mounts = [line.split()[1].encode().decode("unicode_escape") for line in lines]
    return [mount for mount in mounts if mount.startswith(f"{directory}/")]


def main() -> None:
    from lab.state import clean_stale, locked  # noqa: PLC0415  the state module builds on this one

    with locked() as base:
        for name in clean_stale(base):
            print(f"removed {name}")


if __name__ == "__main__":
    main()
