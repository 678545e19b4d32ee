"""What is wanted of a release whose commands have yet to succeed: the commands, and what they cannot do without.

Until then the release before stays the one that is wanted. Nothing of it is stopped, and it goes on healing itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from console.controller.requests import Known, image_of
from console.workloads.compose import Project, spec_digest
from console.workloads.compose import Service as Spec
from console.workloads.enums import Health
from console.workloads.models import Container
from scheduler.lifecycle import State


def digest_of(known: Known, spec: Spec) -> str:
    """Spec digest of a service or a release command. A command's is another with each release: it runs again."""
    if spec.name in known.project.services:
        return str(known.release.digests[spec.name])
    image = image_of(known.release, spec.name)["image"]
    own = spec_digest(spec, image=image, secrets=known.release.secrets)
    return hashlib.sha256(f"{known.release.id} {own}".encode()).hexdigest()


def ahead(coming: Known, release: Known | None, containers: Iterable[Container]) -> dict[str, Spec]:
    """The commands, and of what they wait for the services that the release before does not have, or that do not
    serve: they could be the very ones that the new release mends."""
    of_service: dict[str, list[Container]] = {}
    for container in containers:
        of_service.setdefault(container.slot.service.name, []).append(container)
    before = release.project.services if release else {}
    found = dict(coming.project.commands)
    for name in _needed(coming.project):
        spec = coming.project.services[name]
        there = of_service.get(name, [])
        if name not in before or _takes_over(there, digest_of(coming, spec)):
            found[name] = spec
    return found


def begun(coming: Known, command: Spec, containers: Iterable[Container]) -> bool:
    """It was given a container, whatever became of it. Two commands of a release may be alike."""
    digest = digest_of(coming, command)
    return any(each.digest == digest and each.slot.service.name == command.name for each in containers)


def _needed(project: Project) -> Iterator[str]:
    """Services that a command waits for, directly or not."""
    seen: set[str] = set()
    left = [one.service for command in project.commands.values() for one in command.depends_on]
    while left:
        name = left.pop()
        if name in project.services and name not in seen:
            seen.add(name)
            left += [one.service for one in project.services[name].depends_on]
            yield name


def _takes_over(containers: list[Container], digest: str) -> bool:
    """Once it has begun to, it stays with it."""
    live = [each for each in containers if State(each.state).live]
    if any(each.digest == digest for each in live):
        return True
    well = (Health.NONE, Health.HEALTHY)
    return not any(each.state == State.RUNNING and each.health in well for each in live)
