"""What it costs to look at a hundred containers every ten seconds, by each way there is; and to record what was seen.

CPU seconds are those of the process that looks and of the engine (dockerd, containerd, shims), for ten seconds' looks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import redis
from django.conf import settings

from bench import agent
from console.cluster import series
from lab.lab import Lab
from nodeagent import cgroup
from nodeagent.runtime.base import ContainerFacts
from nodeagent.runtime.engine import DockerRuntime
from nodeagent.samples import SLOW_READERS

LOOKS = 20
STREAMED = 20.0
SUBJECTS = 800
"""500 containers, their services, apps, teams and nodes."""


def measure(lab: Lab) -> Iterator[dict[str, Any]]:
    """Raises `RuntimeError` when the containers do not come up."""
    agent.start_idle(lab)
    runtime = DockerRuntime(lab.hosts[0].engine.docker_host)
    engine = lab.hosts[0].engine.pid or 0

    time.sleep(10.0)
    found = [one for one in _listed(runtime) if one.state == "running"]
    places = [place for one in found if (place := cgroup.find(one.pid, one.engine_id))]
    yield _files("cgroup v1 files", places, engine)
    with TemporaryDirectory(dir="/dev/shm") as root:
        yield _files("cgroup v2 files (copies: this kernel has v1)", _copied(Path(root), places), engine)
    yield _streams(runtime, [one.engine_id for one in found], engine)
    yield _asked(runtime, [one.engine_id for one in found], engine)
    lab.remove_apps()
    yield _recorded(lab.redis.url)


def _listed(runtime: DockerRuntime) -> tuple[ContainerFacts, ...]:
    clusters = {
        item["Labels"]["berth.cluster"]
        for item in runtime._engine.json("GET", "/containers/json", params={"all": "1"})
        if "berth.cluster" in item["Labels"]
    }
    return tuple(one for cluster in clusters for one in runtime.list_managed(cluster).own)


def _files(case: str, places: list[cgroup.Place], engine: int) -> dict[str, Any]:
    def look() -> None:
        for _ in range(LOOKS):
            for place in places:
                cgroup.read(place)

    with _counted(engine) as cost:
        look()
    return {"case": f"look at {len(places)} containers: {case}", **cost(LOOKS)}


def _copied(root: Path, places: list[cgroup.Place]) -> list[cgroup.Place]:
    """The same numbers in v2's files, below one folder for each."""
    made = []
    for number, place in enumerate(places):
        usage, folder = cgroup.read(place), root / str(number)
        folder.mkdir()
        stat = "\n".join(f"{name} {number}" for name in ("anon", "file", "kernel", *map(str, range(35))))
        for name, text in {
            "memory.current": f"{usage.memory}\n",
            "memory.stat": f"{stat}\ninactive_file 0\n",
            "cpu.stat": f"usage_usec {usage.cpu_ns // 1000}\nuser_usec 1\nsystem_usec 1\nnr_periods 0\n",
            "pids.current": "1\n",
            "io.stat": "8:0 rbytes=10 wbytes=40 rios=1 wios=1 dbytes=0 dios=0\n",
        }.items():
            (folder / name).write_text(text)
        made.append(cgroup.Place(place.pid, folder, {}))
    return made


def _streams(runtime: DockerRuntime, ids: list[str], engine: int) -> dict[str, Any]:
    """One open stream each: the engine sends numbers once a second, whether they are wanted or not."""
    answers = [
        runtime._engine.stream("GET", f"/containers/{id_}/stats", "", params={"stream": "1"}, timeout=None)
        for id_ in ids
    ]
    seen = [0]

    def follow(index: int) -> None:
        try:
            for line in answers[index].iter_lines(chunk_size=None):
                seen[0] += bool(line)
        except Exception:  # noqa: BLE001  (it is closed under its reader)
            return

    threads = [threading.Thread(target=follow, args=[index], daemon=True) for index in range(len(ids))]
    with _counted(engine) as cost:
        for thread in threads:
            thread.start()
        time.sleep(STREAMED)
    for answer in answers:
        answer.close()
    return {
        "case": f"look at {len(ids)} containers: a stats stream each, for ten seconds",
        **cost(STREAMED / 10),
        "numbers_a_second": round(seen[0] / STREAMED),
    }


def _asked(runtime: DockerRuntime, ids: list[str], engine: int) -> dict[str, Any]:
    """One question each, as many at a time as the agent asks where it sees no files."""
    waiting = list(ids)

    def ask() -> None:
        while waiting:
            runtime.stats(waiting.pop())

    with _counted(engine) as cost:
        threads = [threading.Thread(target=ask) for _ in range(SLOW_READERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return {"case": f"look at {len(ids)} containers: the engine asked once for each", **cost(1)}


def _recorded(url: str) -> dict[str, Any]:
    """A step of all subjects, and what Redis holds for one once its rings are full."""
    if not settings.configured:
        settings.configure(REDIS_URL=url)
    store = redis.Redis.from_url(url)
    point = np.ones(1, series.POINT)
    points = {f"slot:bench-{number}": point for number in range(SUBJECTS)}
    now = int(store.time()[0]) // 600 * 600
    times = []
    for step in range(12):
        began = time.process_time()
        series.record(now + 10 * step, points)
        times.append(time.process_time() - began)
    size = 0
    for ring in series.RINGS:
        for at in range(now - ring.keep, now + ring.span, ring.span):
            key = ring.key("slot:bench-whole", at)
            store.set(key, bytes(series.PER_CHUNK * series.POINT.itemsize))
            size += int(store.memory_usage(key) or 0)
    return {
        "case": f"record one step of {SUBJECTS} subjects",
        "cpu_ms": round(1000 * sorted(times)[len(times) // 2], 1),
        "redis_kib_of_one_subject": round(size / 1024, 1),
    }


@contextmanager
def _counted(engine: int) -> Iterator[Callable[[float], dict[str, float]]]:
    """CPU of this process and of the engine's, and the time, for each of so many looks."""
    parts = [psutil.Process(engine), *psutil.Process(engine).children(recursive=True)]
    mine, theirs, began = time.process_time(), sum(map(_cpu, parts)), time.monotonic()
    spent: list[float] = []

    def cost(looks: float) -> dict[str, float]:
        names = ("agent_cpu_ms", "engine_cpu_ms", "ms")
        return {name: round(1000 * value / looks, 1) for name, value in zip(names, spent, strict=True)}

    yield cost
    spent += [
        time.process_time() - mine,
        sum(map(_cpu, parts)) - theirs,
        time.monotonic() - began,
    ]


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
