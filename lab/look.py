"""One look at what Berth made on an engine. The engine alone is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import docker
from docker.errors import NotFound

from lab.engine import Engine
from nodeagent import protocol


@dataclass(frozen=True)
class Seen:
    """One container at a look. Times are Unix seconds; 0: never."""

    id: str
    labels: Mapping[str, str]
    running: bool
    started: float
    finished: float
    environment: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The slot's: `app/service.n`."""
        return self.labels[protocol.LABEL_NAME]


def look(client: docker.DockerClient, app: str = "") -> Iterator[Seen]:
    """Every container that Berth made on this engine, or those of one app, by its id."""
    label = f"{protocol.LABEL_APP}={app}" if app else protocol.LABEL_CLUSTER
    for item in client.api.containers(all=True, filters={"label": label}):
        try:
            found = client.api.inspect_container(item["Id"])
        except NotFound:
            continue
        state = found["State"]
        yield Seen(
            id=found["Id"],
            labels=found["Config"]["Labels"],
            running=bool(state["Running"]),
            started=unix(state["StartedAt"]),
            finished=unix(state["FinishedAt"]),
            environment=tuple(found["Config"]["Env"]),
        )


def look_at(engine: Engine, app: str = "") -> list[Seen]:
    with engine.client(20.0) as client:
        return list(look(client, app))


def unix(text: str) -> float:
    """An engine's time, cut to what Python reads; its zero is 0."""
    if text.startswith("0001"):
        return 0.0
    whole, _dot, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{(fraction or '0')[:6]:0<6}+00:00").timestamp()
