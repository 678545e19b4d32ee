"""What a change that was rolled back had wanted, and where its containers would go. Writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from django.utils import timezone

from console.controller import load, requests
from console.controller.explanations import as_row
from console.controller.requests import Releases
from console.workloads.models import App, Explanation, Release, Service
from scheduler import model


@dataclass(frozen=True, slots=True)
class Wish:
    """An app as it is wanted: what the Compose model says, and what was said since."""

    app: App
    release: Release | None
    services: Mapping[str, Mapping[str, Any]]

    def flat(self) -> dict[str, Any]:
        """The model by dotted path."""
        app = {"stopped": self.app.stopped, "deleting": self.app.deleting}
        return _flatten({**app, "services": self.services})


@dataclass(frozen=True, slots=True)
class Change:
    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Spot:
    node: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class ServicePlacement:
    """`wanted` containers of the service are new; `placed` of them find a node now. `refusal` is of the first that
    does not."""

    service: str
    wanted: int
    placed: int
    nodes: tuple[Spot, ...]
    refusal: Explanation | None


def wish(app: App | None) -> Wish | None:
    """As the database has it now; in a transaction, as that has made it."""
    app = App.objects.select_related("team").filter(pk=app.pk).first() if app else None
    if app is None:
        return None
    release = Release.objects.filter(app=app).defer("compose", "files").first()
    rows = {row.name: row for row in Service.objects.filter(app=app, is_command=False)}
    services: dict[str, dict[str, Any]] = {}
    for name, spec in (release.project.services if release else {}).items():
        row = rows.get(name)
        replicas = row.replicas if row and row.present else spec.replicas
        stopped = row.stopped if row else False
        services[name] = {**msgspec.to_builtins(spec), "replicas": replicas, "stopped": stopped}
    return Wish(app, release, services)


def changes(before: Wish | None, after: Wish | None) -> list[Change]:
    """By path, what differs."""
    old, new = before.flat() if before else {}, after.flat() if after else {}
    paths = sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
    return [Change(path, old.get(path), new.get(path)) for path in paths]


def placement(before: Wish | None, after: Wish | None) -> list[ServicePlacement]:
    """Where the containers would go that are new with it: tried on a copy of the cluster as it is now, where those
    that they replace have gone."""
    if after is None or after.release is None or after.app.deleting or after.app.stopped:
        return []
    now, releases = timezone.now(), Releases()
    cluster, release = load.read_cluster(now, releases), _resolved(after.release)
    old = before.services if before and not before.app.stopped else {}
    names, found = {node.id: node.name for node in cluster.nodes}, []
    for name, spec in release.project.services.items():
        wanted, was = dict(after.services[name]), dict(old.get(name, {}))
        count = 0 if wanted["stopped"] else wanted.pop("replicas")
        had = 0 if was.get("stopped", True) else was.pop("replicas")
        again = was != {key: value for key, value in wanted.items() if key != "replicas"}
        new = count if again else max(0, count - had)
        if not new or model.Mode(spec.mode).everywhere:
            continue
        if again:
            for node in cluster.nodes:
                for held in list(cluster.on(node.id)):
                    if (held.request.app, held.request.service) == (after.app.id, name):
                        cluster.free(held.container)
        request = requests.build(after.app, spec, release, zones=releases.zones)
        decisions = cluster.place([model.Want(request, f"{name}+{number}") for number in range(new)])
        refused = next((each for each in decisions if each.node is None), None)
        refusal = as_row(after.app, name, cluster.explain(refused), now) if refused else None
        counts = Counter(each.node for each in decisions if each.node is not None)
        nodes = sorted(
            (Spot(node, names[node], many) for node, many in counts.items()), key=lambda one: one.name
        )
        found.append(ServicePlacement(name, new, sum(counts.values()), tuple(nodes), refusal))
    return found


def _resolved(release: Release) -> Release:
    """With images that are not known yet taken for what their names say, from a registry."""
    specs = release.project.services.items()
    unknown = {name: {"image": spec.image, "local": False} for name, spec in specs}
    release.images = {**unknown, **release.images}
    return release


def _flatten(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        found: dict[str, Any] = {}
        for key, item in value.items():
            found |= _flatten(item, f"{path}.{key}" if path else str(key))
        return found
    return {path: value}
