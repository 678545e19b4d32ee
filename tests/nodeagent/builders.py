"""Jobs and specifications as the console would send them."""

from __future__ import annotations

from typing import Any

from nodeagent.protocol import Ensure, Identity, Mount, PortBinding, Spec

CLUSTER = "c1"
DEMO = "berth/demo:latest"


def identity(slot: str = "s1", generation: int = 1, **changes: Any) -> Identity:
    values: dict[str, Any] = {
        "cluster": CLUSTER,
        "team": "t1",
        "app": "a1",
        "service": "web",
        "slot": slot,
        "generation": generation,
        "container": f"{slot}-{generation}",
        "digest": "d1",
        "name": f"shop/{slot}",
    }
    return Identity(**{**values, **changes})


def spec(**changes: Any) -> Spec:
    values: dict[str, Any] = {
        "image": DEMO,
        "memory": 64 << 20,
        "cpu": 250,
        "pids": 64,
        "stop_grace": 1.0,
        "restart": "no",
    }
    return Spec(**{**values, **changes})


def shell(script: str, **changes: Any) -> Spec:
    """A container that runs a shell script."""
    return spec(command=("sh", "-c", script), **changes)


def ensure(slot: str = "s1", generation: int = 1, wanted: Spec | None = None, **changes: Any) -> Ensure:
    return Ensure(
        id=f"ensure-{slot}-{generation}",
        identity=identity(slot, generation, **changes),
        spec=wanted or shell("sleep 1000"),
    )


def full_spec() -> Spec:
    """Uses every field that a specification has."""
    return spec(
        environment={"A": "1"},
        labels={"com.example.owner": "me"},
        user="1000:1000",
        working_dir="/tmp",
        hostname="web-1",
        stop_signal="SIGTERM",
        init=True,
        read_only=True,
        network="berth-a1",
        aliases=("web",),
        ports=(PortBinding(host=30080, container=80),),
        mounts=(
            Mount(kind="volume", source="a1-data", target="/data"),
            Mount(kind="tmpfs", target="/scratch"),
        ),
    )
