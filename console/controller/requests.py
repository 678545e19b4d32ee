"""What services ask of a node, from their releases. A release is parsed once, and each of its services has one
`Request` object: the scheduler shares its work between wants whose request is the same object."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from console.cluster.models import Node
from console.common.prepared import Prepared
from console.workloads.compose import COMMAND_SUFFIX, Project
from console.workloads.compose import Service as Spec
from console.workloads.models import App, Release
from scheduler import model

logger = logging.getLogger(__name__)

DEFAULT_CPU = 100
DEFAULT_MEMORY = 128 * 1024 * 1024
"""What is reserved of a node for a service whose file gives neither a limit nor a reservation. The default
limits are larger: most containers idle, and a small host shall hold more than two of them."""
ZONE = model.Spread("node.zone")
"""Where nodes have zones, a service that says nothing is spread over them."""
_RELEASES = Prepared(
    lambda ids: Release.objects.filter(pk__in=ids).select_related("app").defer("compose", "files")
)


@dataclass(slots=True)
class Known:
    """A release that is ready, parsed. Its Compose text is not loaded."""

    release: Release
    project: Project
    requests: dict[str, model.Request] = field(default_factory=dict)

    @property
    def priority(self) -> int:
        return max((spec.priority for spec in self.project.services.values()), default=0)


class Releases:
    """Parsed releases by id, for as long as something of them is there."""

    def __init__(self) -> None:
        self.zones = False
        """Whether nodes have zones."""
        self._known: dict[str, Known] = {}
        self._of_app: defaultdict[str, set[str]] = defaultdict(set)

    def load(self, ids: Iterable[str]) -> None:
        """Read and parse those that are not known yet, in one query. What cannot be parsed is logged."""
        missing = {each for each in ids if each not in self._known}
        if not missing:
            return
        for release in _RELEASES(missing):
            try:
                self._known[release.id] = Known(release, release.project)
            except msgspec.ValidationError:
                logger.exception("Release %s of app %s cannot be read", release.id, release.app_id)
            self._of_app[release.app_id].add(release.id)

    def get(self, id_: str) -> Known | None:
        """None for one that is not there, or cannot be parsed."""
        self.load([id_])
        return self._known.get(id_)

    def spec(self, id_: str, service: str) -> Spec:
        """Raises `KeyError` where the release cannot be read, or has no such service."""
        spec = self.project(id_).find(service)
        if spec is None:
            raise KeyError(f"release {id_} has no {service}")
        return spec

    def project(self, id_: str) -> Project:
        """Raises `KeyError` where the release cannot be read."""
        known = self.get(id_)
        if known is None:
            raise KeyError(f"release {id_} cannot be read")
        return known.project

    def request(self, id_: str, service: str) -> model.Request | None:
        """The service's one object; None where the release has no such service, or cannot be read."""
        known = self.get(id_)
        if known is None:
            return None
        if service not in known.requests:
            spec = known.project.find(service)
            if spec is None:
                return None
            known.requests[service] = build(known.release.app, spec, known.release, zones=self.zones)
        return known.requests[service]

    def see_zones(self, nodes: Iterable[Node]) -> bool:
        """Whether nodes have zones matters for what is asked. True: it is another than before."""
        zones = any(node.zone for node in nodes)
        if zones == self.zones:
            return False
        self.zones = zones
        for known in self._known.values():
            known.requests.clear()
        return True

    def prune(self, app_id: str, keep: Collection[str] = ()) -> None:
        """Forget the app's releases but for these."""
        for id_ in self._of_app[app_id].difference(keep):
            self._known.pop(id_, None)
        self._of_app[app_id].intersection_update(keep)
        if not self._of_app[app_id]:
            del self._of_app[app_id]


def image_of(release: Release, name: str) -> dict[str, Any]:
    """Of a service, or a release command, which runs its service's. As in `Release.images`."""
    found = release.images.get(name) or release.images[name.removesuffix(COMMAND_SUFFIX)]
    return dict(found)


def build(app: App, spec: Spec, release: Release, *, zones: bool) -> model.Request:
    """What one slot of the service asks of a node."""
    image, resources, place = image_of(release, spec.name), spec.resources, spec.placement
    spread = tuple(model.Spread(each.key, each.weight) for each in place.spreads)
    return model.Request(
        app=app.id,
        service=spec.name,
        team=app.team_id,
        cpu=resources.cpu_reserved or (DEFAULT_CPU if "cpu" in spec.defaults else resources.cpu),
        memory=resources.memory_reserved
        or (DEFAULT_MEMORY if "memory" in spec.defaults else resources.memory),
        pids=resources.pids,
        disk=resources.disk,
        resources=tuple(model.Resource(each.kind, each.units, each.share) for each in resources.generic),
        ports=tuple(model.Port(port.container, port.host, port.protocol) for port in spec.ports),
        constraints=tuple(model.Constraint(one.key, one.equal, one.value) for one in place.constraints),
        spread=spread or ((ZONE,) if zones else ()),
        affinity=tuple(
            model.Affinity(one.service, one.over, one.anti, one.required, one.weight)
            for one in place.affinity
        ),
        max_per_node=place.max_per_node,
        volumes=tuple(f"{app.id}/{mount.source}" for mount in spec.volumes if mount.kind == "volume"),
        secrets=bool(spec.secrets or spec.secret_environment),
        image=image["image"],
        image_local_only=image["local"],
        priority=spec.priority,
        exclusive=spec.exclusive,
    )


def as_held(request: model.Request, *, cpu: int, memory: int, pids: int, priority: int) -> model.Request:
    """The request with the amounts that a container was given, should those be others."""
    if (request.cpu, request.memory, request.pids, request.priority) == (cpu, memory, pids, priority):
        return request
    return replace(request, cpu=cpu, memory=memory, pids=pids, priority=priority)
