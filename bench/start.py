"""From the request to the engine's StartedAt: through Berth's API, and by `docker run -d`, in turn.

Both start the same image with the same network, limits, hardening and log driver, one at a time, on the
same engine. Either clock starts before the client does anything (Berth: before the HTTP request is made;
Docker: before the command line's process is made).
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from statistics import median
from typing import Any

from lab.engine import Engine
from lab.lab import Lab
from lab.processes import wait_until
from nodeagent import protocol

ROUNDS = 20
COMPOSE = "services:\n  web:\n    image: berth/demo\n"


def measure(lab: Lab) -> Iterator[dict[str, Any]]:
    """One more replica (the network is there), and a new app (its network is made) against create and run."""
    engine = lab.hosts[0].engine
    app = lab.api.post("/apps", {"name": "bench", "compose": COMPOSE})["operation"]["app"]["id"]
    _started(engine, app, 1)
    example = _newest(engine, app)
    docker_runs, scales, apps, docker_networks = [], [], [], []
    for number in range(1, ROUNDS + 1):
        docker_runs.append(_docker_run(engine, example, network=f"berth-{app}"))
        scales.append(_scale(lab, app, 2))
        _scale_back(lab, app)
        docker_networks.append(_docker_network_and_run(engine, example, f"bench-{number}"))
        apps.append(_new_app(lab, f"bench-{number}"))
    lab.remove_apps()
    yield _line("start one more replica", scales, docker_runs, "docker run -d")
    yield _line("start a new app", apps, docker_networks, "docker network create + docker run -d")


def _line(case: str, berth: list[float], docker: list[float], against: str) -> dict[str, Any]:
    return {
        "case": case,
        "rounds": len(berth),
        "berth_ms": round(median(berth) * 1000),
        "against": against,
        "docker_ms": round(median(docker) * 1000),
        "ratio": round(median(berth) / median(docker), 2),
    }


def _scale(lab: Lab, app: str, replicas: int) -> float:
    begun = time.time()
    lab.api.post(f"/apps/{app}/services/web/scale", {"replicas": replicas})
    return _started(lab.hosts[0].engine, app, replicas) - begun


def _scale_back(lab: Lab, app: str) -> None:
    lab.api.post(f"/apps/{app}/services/web/scale", {"replicas": 1})
    if not wait_until(lambda: len(_all(lab.hosts[0].engine, app)) == 1, 30.0, every=0.1):
        raise RuntimeError("the second replica did not go")


def _new_app(lab: Lab, name: str) -> float:
    begun = time.time()
    app = lab.api.post("/apps", {"name": name, "compose": COMPOSE})["operation"]["app"]["id"]
    took = _started(lab.hosts[0].engine, app, 1) - begun
    lab.api.delete(f"/apps/{name}")
    if not wait_until(lambda: not _all(lab.hosts[0].engine, app), 30.0, every=0.1):
        raise RuntimeError(f"{name} did not go")
    return took


def _docker_run(engine: Engine, example: Any, *, network: str) -> float:
    """Wall-clock seconds; the container is removed afterwards."""
    begun = time.time()
    name = subprocess.run(
        _command(engine, example, network), check=True, capture_output=True, text=True
    ).stdout.strip()
    with engine.client() as client:
        container = client.containers.get(name)
        took = _started_at(container) - begun
        container.remove(force=True)
    return took


def _docker_network_and_run(engine: Engine, example: Any, network: str) -> float:
    begun = time.time()
    subprocess.run(
        ["docker", "-H", engine.docker_host, "network", "create", network], check=True, capture_output=True
    )
    waited = time.time() - begun
    took = waited + _docker_run(engine, example, network=network)
    with engine.client() as client:
        client.networks.get(network).remove()
    return took


def _command(engine: Engine, example: Any, network: str) -> list[str]:
    """`docker run` with what the agent's own container of the same image was made with."""
    host = example.attrs["HostConfig"]
    argv = ["docker", "-H", engine.docker_host, "run", "-d", "--network", network]
    argv += ["--memory", str(host["Memory"]), "--memory-swap", str(host["MemorySwap"])]
    argv += ["--cpus", str(host["NanoCpus"] / 1e9), "--pids-limit", str(host["PidsLimit"])]
    argv += ["--restart", host["RestartPolicy"]["Name"], "--shm-size", str(host["ShmSize"])]
    argv += ["--log-driver", host["LogConfig"]["Type"]]
    for key, value in host["LogConfig"]["Config"].items():
        argv += ["--log-opt", f"{key}={value}"]
    for capability in host["CapDrop"]:
        argv += ["--cap-drop", capability]
    for capability in host["CapAdd"]:
        argv += ["--cap-add", capability]
    for option in host["SecurityOpt"]:
        argv += ["--security-opt", option]
    return [*argv, *(["--init"] if host["Init"] else []), example.attrs["Image"]]


def _all(engine: Engine, app: str) -> list[Any]:
    with engine.client() as client:
        return list(
            client.containers.list(
                all=True, filters={"label": f"{protocol.LABEL_APP}={app}"}, ignore_removed=True
            )
        )


def _newest(engine: Engine, app: str) -> Any:
    return max(_all(engine, app), key=_started_at)


def _started(engine: Engine, app: str, count: int) -> float:
    """Start time (Unix seconds) of the newest of `count` running containers."""

    def running() -> bool:
        return bool(sum(container.status == "running" for container in _all(engine, app)) >= count)

    if not wait_until(running, 30.0, every=0.02):
        raise RuntimeError(f"{app} did not come to {count} running containers")
    return _started_at(_newest(engine, app))


def _started_at(container: Any) -> float:
    """The engine's StartedAt; its nanoseconds are cut to what Python reads."""
    text = container.attrs["State"]["StartedAt"]
    if text.startswith("0001"):
        return 0.0
    whole, _dot, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{(fraction or '0')[:6]:0<6}+00:00").timestamp()
