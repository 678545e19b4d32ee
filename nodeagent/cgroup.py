"""Counters of containers and of the host from kernel files: cgroup v1 and v2, /proc. A few reads each."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from nodeagent.runtime.base import Usage

ROOT = Path("/sys/fs/cgroup")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the kernel keeps one container's numbers. `controllers` is empty on cgroup v2."""

    pid: int
    unified: Path
    controllers: dict[str, Path]


def find(pid: int, engine_id: str, root: Path = ROOT, proc: Path = PROC) -> Place | None:
    """Where to read; None where this process cannot see the container (another PID namespace, say)."""
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return None
    if not any(engine_id in line for line in lines):
        return None
    parts = [line.split(":", 2) for line in lines]
    controllers = {
        name: root / name / path.lstrip("/")
        for _, names, path in parts
        for name in names.split(",")
        if name in {"cpuacct", "memory", "pids", "blkio"}
    }
    unified = next((root / path.lstrip("/") for _, names, path in parts if not names), root)
    place = Place(pid, unified, controllers)
    probe = controllers.get("memory", unified)
    return place if probe.is_dir() else None


def read(place: Place, proc: Path = PROC) -> Usage:
    """Raises `OSError` once the container is gone."""
    received, sent = _network(proc / str(place.pid) / "net" / "dev")
    if place.controllers:
        cpu, memory, blocks, pids = _read_v1(place.controllers)
    else:
        cpu, memory, blocks, pids = _read_v2(place.unified)
    return Usage(
        at=time.monotonic(),
        cpu_ns=cpu,
        memory=memory,
        net_rx=received,
        net_tx=sent,
        block_read=blocks[0],
        block_write=blocks[1],
        pids=pids,
    )


def node(proc: Path = PROC) -> tuple[float, int]:
    """Seconds of CPU that the host has spent so far, and bytes of memory in use."""
    ticks = [int(value) for value in (proc / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    busy = sum(ticks) - ticks[3] - ticks[4]
    memory = _pairs((proc / "meminfo").read_text().replace(":", ""))
    return busy / os.sysconf("SC_CLK_TCK"), (memory["MemTotal"] - memory["MemAvailable"]) * 1024


def _read_v1(places: dict[str, Path]) -> tuple[int, int, tuple[int, int], int]:
    memory = int((places["memory"] / "memory.usage_in_bytes").read_text())
    cache = _pairs((places["memory"] / "memory.stat").read_text()).get("total_inactive_file", 0)
    cpu = int((places["cpuacct"] / "cpuacct.usage").read_text())
    pids = int((places["pids"] / "pids.current").read_text()) if "pids" in places else 0
    return cpu, max(0, memory - cache), _blocks_v1(places.get("blkio")), pids


def _blocks_v1(place: Path | None) -> tuple[int, int]:
    path = place / "blkio.throttle.io_service_bytes" if place else None
    if path is None or not path.exists():
        return 0, 0
    rows = [line.split() for line in path.read_text().splitlines()]
    totals = {
        word: sum(int(row[2]) for row in rows if len(row) == 3 and row[1] == word)
        for word in ("Read", "Write")
    }
    return totals["Read"], totals["Write"]


def _read_v2(place: Path) -> tuple[int, int, tuple[int, int], int]:
    cpu = _pairs((place / "cpu.stat").read_text())["usage_usec"] * 1000
    cache = _pairs((place / "memory.stat").read_text()).get("inactive_file", 0)
    memory = int((place / "memory.current").read_text())
    pids = int((place / "pids.current").read_text())
    return cpu, max(0, memory - cache), _blocks_v2(place / "io.stat"), pids


def _blocks_v2(path: Path) -> tuple[int, int]:
    words = path.read_text().split() if path.exists() else []
    fields = [word.partition("=") for word in words]
    read = sum(int(value) for key, _, value in fields if key == "rbytes")
    return read, sum(int(value) for key, _, value in fields if key == "wbytes")


def _network(path: Path) -> tuple[int, int]:
    """Bytes received and sent by all interfaces but loopback."""
    received = sent = 0
    for line in path.read_text().splitlines()[2:]:
        name, _, numbers = line.partition(":")
        if name.strip() != "lo":
            fields = numbers.split()
            received += int(fields[0])
            sent += int(fields[8])
    return received, sent


def _pairs(text: str) -> dict[str, int]:
    """Lines of `name number …`."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) >= 2 and row[1].isdigit()}
