"""What a change that was rolled back had wanted, and where its containers would go. Writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from django.utils import timezone

from console.controller import load, requests
from console.controller.explanations import as_row
from console.controller.requests import Releases
from console.workloads.models import App, Explanation, Release, Service
from scheduler import model

HIDDEN = "•••"
"""Stands for a text that whoever asks may not read."""
_OPEN = frozenset(
    ("image", "name", "mode", "pull_policy", "ports", "restart", "update", "rollback", "size", "defaults")
)
"""Fields of a service that hold numbers and words of a fixed list alone; its image is shown as the file writes it."""
_NAMING = frozenset(("environment", "labels", "deploy_labels", "secret_environment"))
"""Those whose names may be filled in, too: `- ${NAME}=value`."""
Veil = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Wish:
    """An app as it is wanted: what the Compose model says, and what was said since."""

    app: App
    release: Release | None
    services: Mapping[str, Mapping[str, Any]]

    def flat(self) -> dict[str, Leaf]:
        """The model by dotted path."""
        app = {"stopped": self.app.stopped, "deleting": self.app.deleting}
        leaves = list(_leaves(app, "", "", None))
        for service, spec in self.services.items():
            for field, value in spec.items():
                path = f"services.{service}.{field}"
                leaves += _leaves(value, path, path, self._veil(field))
            if self.release and (written := self.release.project.written.get(service)):
                path = f"services.{service}.image"
                leaves.append(Leaf(path, spec["image"], path, written))
        return {leaf.path: leaf for leaf in leaves}

    def _veil(self, field: str) -> Veil | None:
        """What hides the names in a field of a service, if anything does."""
        release = self.release
        if release is None or field in _OPEN or not (release.variables or release.files):
            return None
        known = release.compose
        return (lambda name: name if name in known else HIDDEN) if field in _NAMING else str


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of the model. `shown_path` and `shown` are for whoever may not read what may be secret."""

    path: str
    value: Any
    shown_path: str
    shown: Any


@dataclass(frozen=True, slots=True)
class Change:
    """`secret`: where it tells more than whoever may not read what may be secret is told, the path that those see."""

    path: str
    before: Any
    after: Any
    secret: str = ""


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
    release = Release.objects.filter(app=app).first()
    rows = {row.name: row for row in Service.objects.filter(app=app, is_command=False)}
    services: dict[str, dict[str, Any]] = {}
    for name, spec in (release.project.services if release else {}).items():
        row = rows.get(name)
        replicas = row.replicas if row and row.present else spec.replicas
        stopped = row.stopped if row else False
        services[name] = {**msgspec.to_builtins(spec), "replicas": replicas, "stopped": stopped}
    return Wish(app, release, services)


def changes(before: Wish | None, after: Wish | None, *, secrets: bool) -> list[Change]:
    """By path, what differs. Without `secrets`, texts that variables and files may have filled are hidden."""
    old, new = before.flat() if before else {}, after.flat() if after else {}
    found: list[Change] = []
    for path in sorted(old.keys() | new.keys()):
        was, now = old.get(path), new.get(path)
        if was and now and was.value == now.value:
            continue
        either = now or was
        open_ = Change(path, was and was.value, now and now.value)
        hidden = Change(either.shown_path if either else path, was and was.shown, now and now.shown)
        change = replace(open_, secret=hidden.path if open_ != hidden else "") if secrets else hidden
        if change not in found:
            found.append(change)
    return found


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


def _leaves(value: Any, path: str, shown_path: str, veil: Veil | None) -> Iterator[Leaf]:
    if not isinstance(value, Mapping) or not value:
        yield Leaf(path, value, shown_path, value if veil is None else _hidden(value))
        return
    for key, item in value.items():
        name = key if veil is None else veil(key)
        dot = "." if path else ""
        yield from _leaves(item, f"{path}{dot}{key}", f"{shown_path}{dot}{name}", veil)


def _hidden(value: Any) -> Any:
    """Of the same shape, without its texts."""
    if isinstance(value, Mapping):
        return {key: _hidden(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(item) for item in value]
    return HIDDEN if isinstance(value, str) and value else value
