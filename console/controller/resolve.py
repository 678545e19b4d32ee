"""Which image each service of a release runs: decided once per release, from present copies or its registry."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from console.cluster.enums import JobKind, NodeState
from console.cluster.models import Job, Node
from console.common.prepared import Prepared
from console.controller import jobs
from console.controller.context import Step
from console.controller.rollouts import give_up
from console.workloads import operations
from console.workloads.compose import Project, spec_digest
from console.workloads.compose import Service as Spec
from console.workloads.enums import UNDER_WAY, ReleaseState, RolloutState
from console.workloads.models import App, Release, Rollout
from console.workloads.services import take_services

MOST_ASKED = 5
"""Nodes by way of which a registry is asked for one image of a release: somebody waits for the answer."""
_NONE: Mapping[str, str] = MappingProxyType({})
_RESOLVING = Prepared(
    lambda app: Release.objects.filter(app=app, state=ReleaseState.RESOLVING).order_by("-number")
)
_DEADLINES: Prepared[datetime] = Prepared(
    lambda release: Rollout.objects.filter(release=release, state=RolloutState.RUNNING).values_list(
        "deadline", flat=True
    )
)
_UNDER_WAY = Prepared(
    lambda app: Rollout.objects.filter(app=app, state__in=UNDER_WAY).select_related("operation")
)


@dataclass(frozen=True, slots=True)
class Image:
    """What the engine is asked to run. A local one is in no registry: only nodes that have it can run it."""

    identity: str
    local: bool = False
    warning: str = ""


class CannotResolve(Exception):
    """No digest is to be had for an image; the text says why and what to do."""


def resolve(step: Step, app: App) -> None:
    """Carry the app's newest release on from `resolving`; older ones that never got ready are given up."""
    waiting = _RESOLVING(app.pk)
    if not waiting:
        return
    for old in waiting[1:]:
        old.state, old.error = ReleaseState.FAILED, "A newer release came before its images were known."
        old.save(update_fields=["state", "error"])
    release = waiting[0]
    try:
        _check_deadline(step, release)
        images = _images(step, app, release)
    except CannotResolve as error:
        give_up(step, app, release, str(error))
        return
    if images is not None:
        _ready(step, app, release, images)


def _check_deadline(step: Step, release: Release) -> None:
    if not any(deadline <= step.now for deadline in _DEADLINES(release.pk)):
        return
    images = ", ".join(sorted({spec.image for spec in release.project.services.values()}))
    raise CannotResolve(
        f"No node could ask the registry for {images} in time. See on the nodes page that one is ready, "
        "then deploy again."
    )


def _images(step: Step, app: App, release: Release) -> dict[str, Image] | None:
    """The image of each service; None while a registry's answer is awaited."""
    found: dict[str, Image] = {}
    pending = False
    for name, spec in release.project.services.items():
        image = _known(step, spec) or _asked(step, app, release, spec)
        if image is None:
            pending = True
        else:
            found[name] = image
    return None if pending else found


def _known(step: Step, spec: Spec) -> Image | None:
    """Without asking a registry: a digest in the name, or a present copy that the pull policy accepts."""
    if "@sha256:" in spec.image:
        return Image(spec.image)
    present = present_copy(list(step.nodes.values()), spec.image)
    if spec.pull_policy == "never" and present is None:
        raise CannotResolve(
            f"No node has the image {spec.image}, and its pull_policy is “never”. Load it on a node, "
            "or let it be pulled."
        )
    return present if spec.pull_policy != "always" or (present and present.local) else None


def _asked(step: Step, app: App, release: Release, spec: Spec) -> Image | None:
    """By way of a node: its engine asks the registry, with the team's login."""
    asked = list(
        Job.objects.filter(
            release_id=release.id,
            kind=JobKind.PULL,
            payload__image=spec.image,
            payload__resolve=True,
        ).order_by("created_at")
    )
    job = asked[-1] if asked else None
    if job and not job.done_at and step.nodes[str(job.node_id)].state == NodeState.DOWN:
        job.done_at, job.ring_at, job.message = step.now, None, "its node went away"
        job.save(update_fields=["done_at", "ring_at", "message"])
    failed = {str(each.node_id) for each in asked if each.ok is False}
    node = _asking_node(step, failed)
    if job is None or (job.done_at and job.ok is None):
        if node is not None:
            jobs.add_pull(step, node, release, app.team, spec.image)
            _note(step, app, f"Asking the registry which digest {spec.image} stands for")
        else:
            _note(step, app, f"No node is ready to ask the registry for {spec.image}")
        return None
    if job.done_at is None:
        return None
    if not job.ok and node is not None and _is_worth_asking(job, failed):
        jobs.add_pull(step, node, release, app.team, spec.image)
        name = step.nodes[str(job.node_id)].name
        _note(step, app, f"Node {name} could not ask the registry ({job.message}); node {node.name} asks it")
        return None
    digests = job.result.get("digests") or []
    if job.ok and digests:
        return Image(digests[0], warning=job.message)
    present = present_copy(list(step.nodes.values()), spec.image)
    if present is None:
        said = job.message or f"The registry knows no image {spec.image}."
        raise CannotResolve(said if len(failed) < 2 else f"{len(failed)} nodes asked, the last one: {said}")
    return Image(
        present.identity,
        present.local,
        f"The registry did not answer for {spec.image} ({job.message}); the copy that is present is used.",
    )


def _is_worth_asking(job: Job, failed: Collection[str]) -> bool:
    """By way of another node: the trouble may have been this one's with the registry."""
    return not job.result.get("fatal") and len(failed) < MOST_ASKED


def _asking_node(step: Step, but: Collection[str]) -> Node | None:
    ready = [node for node in step.nodes.values() if node.state == NodeState.READY and node.id not in but]
    return min(ready, key=lambda node: node.id, default=None)


def present_copy(nodes: list[Node], name: str) -> Image | None:
    """The copy that most ready nodes have; of equals the least id, so that every controller picks the same."""
    wanted = familiar(name)
    votes: Counter[tuple[str, bool]] = Counter()
    for node in nodes:
        if node.state != NodeState.READY:
            continue
        for image in node.images:
            if wanted in image.get("tags", ()) or name == image["id"]:
                digests = sorted(image.get("digests", ()))
                votes[(digests[0], False) if digests else (image["id"], True)] += 1
    if not votes:
        return None
    identity, local = min(votes, key=lambda vote: (-votes[vote], vote))
    return Image(identity, local)


def familiar(name: str) -> str:
    """The short form by which engines list an image: no default registry, always a tag."""
    name = name.removeprefix("docker.io/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _ready(step: Step, app: App, release: Release, images: dict[str, Image]) -> None:
    release.images = {name: {"image": image.identity, "local": image.local} for name, image in images.items()}
    release.digests = digests(
        release.project, {name: image.identity for name, image in images.items()}, release.secrets
    )
    extra = [
        {
            "line": release.project.services[name].line,
            "column": 1,
            "service": name,
            "code": "image",
            "key": f"services.{name}.image",
            "message": image.warning,
        }
        for name, image in images.items()
        if image.warning
    ]
    release.warnings = [*release.warnings, *extra]
    commands = release.project.commands
    release.state = ReleaseState.PREPARING if commands else ReleaseState.READY
    release.save(update_fields=["images", "digests", "warnings", "state"])
    if not commands:
        take_services(app, release)
    _note(step, app, "Images are known")


def digests(
    project: Project, images: Mapping[str, str], secrets: Mapping[str, str] = _NONE
) -> dict[str, str]:
    """Spec digest by service, with the version of each secret. One that is to be restarted with others (`depends_on`
    with `restart`) has theirs in its own: a release that replaces them replaces it as well."""
    own = {
        name: spec_digest(spec, image=images[name], secrets=secrets)
        for name, spec in project.services.items()
    }
    found = {}
    for name in project.services:
        others = sorted(own[one] for one in _restarts_with(project, name))
        found[name] = (
            hashlib.sha256("".join([own[name], *others]).encode()).hexdigest() if others else own[name]
        )
    return found


def _restarts_with(project: Project, name: str) -> set[str]:
    """Services whose restart restarts this one, directly or by way of others."""
    reached: set[str] = set()
    left = [name]
    while left:
        for one in project.services[left.pop()].depends_on:
            if one.restart and one.service in project.services and one.service not in reached:
                reached.add(one.service)
                left.append(one.service)
    return reached - {name}


def _note(step: Step, app: App, text: str) -> None:
    for rollout in _UNDER_WAY(app.pk)[:1]:
        if rollout.operation:
            operations.note(rollout.operation, text, step.now)
