"""Berth and `docker service` in turn on the same three engines: create many replicas, then update them all.

`make bench-swarm`. Either clock starts before the client does anything and ends with an event of the engines. The
engines have no live-restore, which swarm mode refuses, and are in swarm mode throughout; Berth's processes are ended
while others have their turn. All sides start the same image with the same command, limits, capabilities, log driver,
init process and grace, on a bridge network of the service's own.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench import curves
from bench.costs import Costs
from bench.curves import Curve, Watch
from bench.floor import Floor
from lab.lab import CONSOLE, Lab
from lab.look import look_at
from lab.processes import wait_until
from lab.state import Run
from lab.swarm import Swarm, SwarmHost

SIZES = (3, 60)
"""And the largest, which is updated as well."""
MOST = 200
REPORTED_ONLY = 3
"""So few say more about the first second than about the rate."""
WINDOW = 0.2
"""Share of the slots that Berth replaces at once."""
AVAILABLE = 0.9
"""Share of the replicas that Berth keeps running meanwhile."""
MONITOR, GRACE = 1, 10
"""Seconds, of both."""
SEEN_WITHIN = 30.0
"""Seconds after which Swarm's manager must have counted what the engines run."""
NETWORK = "bench"
BERTH = "Berth"
AIM = 1.0
LONGEST = 180.0
NAME = "web"
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def measure(
    run: Run, *, runs: int, most: int = MOST, plot: Path | None = None, floor: bool = False
) -> Iterator[dict[str, Any]]:
    """`runs` turns of each, with up to `most` replicas. `plot`: where to draw the curves of the first ones. `floor`:
    what the engines alone take as well."""
    lab = Lab(run, nodes=3, cpu=200_000, memory=200 * 1024**3, live_restore=False)
    lab.start()
    hosts = [SwarmHost(node.host, node.engine) for node in lab.hosts]
    swarm = Swarm(hosts)
    try:
        swarm.start(run.directory / "demo.tar")
        swarm.add_bridge(NETWORK)
        with watching(lab) as watch:
            berth = Berth(lab, watch)
            others: dict[str, Docker | Floor] = {"Swarm": Docker(swarm, watch)}
            if floor:
                engines = [node.engine for node in lab.hosts]
                others["floor"] = Floor(engines, window=WINDOW, monitor=MONITOR, grace=GRACE)
            turns = [_turns(berth, others, watch, most, berth_last=bool(n % 2)) for n in range(runs)]
        yield from _lines(turns, most)
        if plot:
            curves.draw({side: turn.curves for side, turn in turns[0].items()}, plot)
    finally:
        lab.stop()


def _turns(
    berth: Berth, others: Mapping[str, Docker | Floor], watch: Watch, most: int, *, berth_last: bool
) -> dict[str, Turn]:
    """By side, Berth first. Who goes first changes: the machine may be faster in one minute than in another."""

    def theirs() -> dict[str, Turn]:
        with berth.away():
            return {name: _turn(side.like(berth.example), watch, most) for name, side in others.items()}

    if berth_last:
        found = theirs()
        return {BERTH: _turn(berth, watch, most), **found}
    return {BERTH: _turn(berth, watch, most), **theirs()}


@contextmanager
def watching(lab: Lab) -> Iterator[Watch]:
    watch = Watch([node.engine for node in lab.hosts])
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


@dataclass(frozen=True)
class Turn:
    """Seconds and curves by what was done: `create 60`, `update 200`. `least`: running at the worst moment of the
    update."""

    seconds: dict[str, float]
    curves: dict[str, Curve]
    least: int
    costs: dict[str, dict[str, float]]


def _turn(side: Side, watch: Watch, most: int) -> Turn:
    seconds: dict[str, float] = {}
    found: dict[str, Curve] = {}
    costs: dict[str, dict[str, float]] = {}
    least = 0
    _forget_cgroups()
    for size in (*(size for size in SIZES if size < most), most):
        with side.costs().into(costs, case := f"create {size}"):
            begun = watch.begin()
            side.create(size)
            seconds[case] = watch.until(starts=size, within=LONGEST) - begun
        found[case] = watch.curve(begun)
        _say(side, case, seconds[case])
        if size == most:
            side.settle()
            with side.costs().into(costs, case := f"update {size}"):
                begun = watch.begin()
                side.update(size)
                seconds[case] = watch.until(starts=size, ends=size, within=LONGEST) - begun
            found[case] = watch.curve(begun)
            _say(side, case, seconds[case])
            least = min(count for _at, count in found[case])
            side.check(size)
        side.remove()
        watch.settle(0)
    return Turn(seconds, found, least, costs)


def _forget_cgroups() -> None:
    """A removed container's memory cgroup stays in the kernel as long as pages that it had read are cached, and each
    one makes every container after it slower: of two equal turns the second took a sixth longer. So each side's turn
    begins without any; its first case, which is only told, warms the caches again."""
    os.sync()
    _DROP_CACHES.write_text("3")


def _say(side: Side, case: str, seconds: float) -> None:
    """How far it is: a turn takes minutes, and one that is cut short was not for nothing."""
    load = os.getloadavg()[0]
    print(f"{type(side).__name__}: {case}: {seconds:.2f} s (load {load:.1f})", file=sys.stderr, flush=True)


def _lines(turns: Sequence[Mapping[str, Turn]], most: int) -> Iterator[dict[str, Any]]:
    for case in turns[0][BERTH].seconds:
        took = {side: [turn[side].seconds[case] for turn in turns] for side in turns[0]}
        paced = {
            side: median(turn[side].seconds[case] / turn[side].costs[case]["pace_ms"] for turn in turns)
            for side in turns[0]
        }
        middle = {side: median(seconds) for side, seconds in took.items()}
        line: dict[str, Any] = {"case": case, "runs": len(turns)}
        line |= {f"{side.lower()}_s": round(seconds, 2) for side, seconds in middle.items()}
        line["ratio"] = round(middle[BERTH] / middle["Swarm"], 3)
        line["ratio_at_equal_pace"] = round(paced[BERTH] / paced["Swarm"], 3)
        if "floor" in middle:
            line["floor_ratio"] = round(middle["floor"] / middle["Swarm"], 3)
            line["floor_ratio_at_equal_pace"] = round(paced["floor"] / paced["Swarm"], 3)
        if case != f"create {REPORTED_ONLY}":
            line["aim"] = AIM
        if case == f"update {most}":
            for side in turns[0]:
                line[f"{side.lower()}_least_running"] = min(turn[side].least for turn in turns)
            line["aim_least_running"] = AVAILABLE * most
        for side, seconds in took.items():
            line[f"all_{side.lower()}_s"] = [round(one, 2) for one in seconds]
            line[f"{side.lower()}_cpu_s"] = turns[0][side].costs[case]
        yield line


class Berth:
    """By its API, as the first owner."""

    def __init__(self, lab: Lab, watch: Watch) -> None:
        self._lab, self._watch = lab, watch
        self._app = self._operation = ""
        self.example: dict[str, Any] = {}
        """What the engine says of one of its containers."""

    @contextmanager
    def away(self) -> Iterator[None]:
        """None of its processes runs meanwhile, but for Redis."""
        names = [*CONSOLE, *(f"agent-{number}" for number in range(1, len(self._lab.hosts) + 1))]
        for name in reversed(names):
            self._lab.stop_one(name)
        yield
        for name in names:
            self._lab.start_one(name)
        self._lab.await_ready(60.0)

    def costs(self) -> Costs:
        return Costs({name: self._lab.pid(name) for name in self._lab.parts})

    def create(self, replicas: int) -> None:
        made = self._lab.api.post("/apps", {"name": NAME, "compose": _compose(replicas, 1)})["operation"]
        self._app, self._operation = made["app"]["id"], made["id"]

    def settle(self) -> None:
        self._await_operation()

    def update(self, replicas: int) -> None:
        made = self._lab.api.post(f"/apps/{NAME}/releases", {"compose": _compose(replicas, 2)})
        self._operation = made["operation"]["id"]

    def check(self, replicas: int) -> None:
        self._await_operation()
        seen = [one for node in self._lab.hosts for one in look_at(node.engine, self._app) if one.running]
        fresh = sum("VERSION=2" in one.environment for one in seen)
        if (len(seen), fresh) != (replicas, replicas):
            raise RuntimeError(f"{len(seen)} run, {fresh} of them of the new release")

    def _await_operation(self) -> None:
        path = f"/operations/{self._operation}"
        if not wait_until(lambda: self._lab.api.get(path)["state"] != "running", LONGEST, every=0.5):
            raise RuntimeError(f"still under way: {self._lab.api.get(path)}")
        operation = self._lab.api.get(path)
        if operation["state"] != "succeeded":
            raise RuntimeError(f"{operation}")

    def remove(self) -> None:
        self.example = self.example or self._example()
        self._lab.remove_apps(LONGEST)

    def _example(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for node in self._lab.hosts:
            for seen in look_at(node.engine, self._app)[:1]:
                with node.engine.client() as client:
                    found = client.api.inspect_container(seen.id)
        return found


def _compose(replicas: int, version: int) -> str:
    update = {
        "parallelism": max(1, round(WINDOW * replicas)),
        "order": "start-first",
        "monitor": f"{MONITOR}s",
    }
    service = {
        "image": "berth/demo",
        "command": ["sleep", "1000000"],
        "init": True,
        "stop_grace_period": f"{GRACE}s",
        "environment": {"VERSION": str(version)},
        "deploy": {"replicas": replicas, "update_config": update},
    }
    return json.dumps({"services": {NAME: service}})


class Docker:
    """By its command line, on the manager."""

    def __init__(self, swarm: Swarm, watch: Watch) -> None:
        self._swarm, self._watch = swarm, watch
        self._options: list[str] = []

    def like(self, example: dict[str, Any]) -> Docker:
        """With what that container was made with, as far as a service can have it: no-new-privileges and the size
        of /dev/shm it cannot."""
        host = example["HostConfig"]
        options = ["--limit-memory", str(host["Memory"]), "--limit-cpu", str(host["NanoCpus"] / 1e9)]
        options += ["--limit-pids", str(host["PidsLimit"]), "--log-driver", host["LogConfig"]["Type"]]
        for key, value in host["LogConfig"]["Config"].items():
            options += ["--log-opt", f"{key}={value}"]
        for option in ("CapDrop", "CapAdd"):
            flag = {"CapDrop": "--cap-drop", "CapAdd": "--cap-add"}[option]
            options += [part for capability in host[option] for part in (flag, capability)]
        self._options = [*options, *(["--init"] if host["Init"] else [])]
        return self

    def costs(self) -> Costs:
        return Costs({f"engine-{number}": one.engine.pid for number, one in enumerate(self._swarm.hosts, 1)})

    def create(self, replicas: int) -> None:
        argv = ["--name", NAME, "--replicas", str(replicas), "--network", NETWORK, "--env", "VERSION=1"]
        argv += ["--no-resolve-image", "--stop-grace-period", f"{GRACE}s", "--endpoint-mode", "dnsrr"]
        argv += ["--update-parallelism", "0", "--update-monitor", f"{MONITOR}s"]
        self._swarm.docker(
            *("service", "create", "-d", "-q", *argv, *self._options, self._swarm.image, "sleep", "1000000")
        )

    def settle(self) -> None:
        time.sleep(MONITOR + 2.0)

    def update(self, replicas: int) -> None:
        del replicas
        self._swarm.docker(
            "service", "update", "-d", "-q", "--no-resolve-image", "--env-add", "VERSION=2", NAME
        )

    def check(self, replicas: int) -> None:
        wanted = f"{replicas}/{replicas}"
        if not wait_until(lambda: self._listed() == wanted, SEEN_WITHIN, every=0.5):
            raise RuntimeError(f"{self._listed()} replicas")

    def _listed(self) -> str:
        """As its manager counts them, which is some seconds behind the engines."""
        return self._swarm.docker("service", "ls", "--format", "{{.Replicas}}").strip()

    def remove(self) -> None:
        self._swarm.docker("service", "rm", NAME)


Side = Berth | Docker | Floor
