"""Images that no app needs any more: nodes are asked to remove them, and what they say of it.

The console knows what is wanted; a node knows what its agent fetched, what its engine uses and since when. An image
goes only by the word of both. One that is wanted again after all is pulled again by the start that misses it.
"""

from __future__ import annotations

import logging
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, Window
from django.db.models.functions import RowNumber

from console.cluster.enums import JobKind, NodeState
from console.cluster.models import Job, Node
from console.common.ids import new_id
from console.controller import outbox
from console.controller.context import Step
from console.controller.history import Line
from console.controller.observed import storable
from console.workloads.enums import UNDER_WAY, ReleaseState, RolloutState
from console.workloads.models import Container, Release, Rollout
from nodeagent import protocol
from scheduler.units import of_bytes

logger = logging.getLogger(__name__)

EVERY_WHILE_LOW = timedelta(minutes=10)
"""So often, or more often, a node is asked while its disk has hardly any room."""
MOST = 1000
"""Images in one job."""
NAMED = 5
"""So many are named in an event's sentence."""
Image = Mapping[str, Any]
"""As `Node.images` has it: a `protocol.ImageFact`."""


class Rounds:
    """When each node was last looked at. It can be lost: what was asked for twice is gone once.

    A node's first turn comes at its own time of the hour, which every controller finds the same: so they are not all
    at it at once, and one that is often begun anew leaves nobody out. While its disk is low it comes at once.
    """

    def __init__(self) -> None:
        self._first: dict[str, datetime] = {}
        """When each one's first turn is."""
        self._at: dict[str, datetime] = {}

    def due(self, step: Step) -> list[Node]:
        """Nodes whose turn it is, each once. Only of those that are well, and whose assignment is beyond doubt."""
        every = timedelta(seconds=settings.IMAGES_EVERY)
        self._first = {
            id_: self._first.get(id_) or step.now + first_wait(id_, step.now, every) for id_ in step.nodes
        }
        self._at = {id_: at for id_, at in self._at.items() if id_ in step.nodes}
        found = [node for node in step.nodes.values() if self._is_due(step, node, every)]
        self._at.update((node.id, step.now) for node in found)
        return found

    def _is_due(self, step: Step, node: Node, every: timedelta) -> bool:
        if node.state != NodeState.READY or node.id in step.holds:
            return False
        last = self._at.get(node.id)
        if last is not None:
            return step.now - last >= (min(every, EVERY_WHILE_LOW) if node.disk_low else every)
        return node.disk_low or step.now >= self._first[node.id]


def first_wait(node: str, seen: datetime, every: timedelta) -> timedelta:
    """For how long a node that was first seen then has to wait: until its own time within each `every`."""
    its_own = timedelta(seconds=zlib.crc32(node.encode()) % max(1, int(every.total_seconds())))
    return (datetime.min.replace(tzinfo=seen.tzinfo) + its_own - seen) % every


def keep(step: Step, rounds: Rounds) -> None:
    """Ask the nodes whose turn it is to remove what they need not keep."""
    if not settings.IMAGES_UNUSED_HOURS or step.frozen:
        return
    due = [node for node in rounds.due(step) if any(image.get("pulled") for image in node.images)]
    content = wanted() if due else set()
    for node in due:
        spare = unwanted(node.images, content)[:MOST]
        if spare and not Job.objects.filter(node=node, kind=JobKind.TIDY, done_at=None).exists():
            unused = _age(node).total_seconds()
            outbox.add(step, node, protocol.Tidy(id=new_id(), images=tuple(spare), unused=unused))


def _age(node: Node) -> timedelta:
    hours = settings.IMAGES_UNUSED_HOURS
    return timedelta(hours=min(hours, settings.IMAGES_UNUSED_LOW_HOURS) if node.disk_low else hours)


def unwanted(images: Iterable[Image], content: Collection[str]) -> list[str]:
    """Ids of those of a node's images that may be spared, of those that its agent fetched."""
    return [
        str(image["id"]) for image in images if image.get("pulled") and _content(image).isdisjoint(content)
    ]


def _content(image: Image) -> set[str]:
    return {str(image["id"]), *(_digest(str(name)) for name in image.get("digests", ()))}


def _digest(image: str) -> str:
    """`sha256:…`, of `repo@sha256:…` or of the id of one that no registry has."""
    return image.rpartition("@")[2]


def wanted() -> set[str]:
    """The content (`sha256:…`) of each image that some app needs, or may soon: of what runs, rolls out or gets ready,
    and of the newest releases that people, or a failed rollout, would go back to. On whichever node: apps move."""
    of_apps = Release.objects.filter(app__deleting=False)
    went_well = Rollout.objects.filter(release=OuterRef("pk"), state=RolloutState.SUCCEEDED)
    rank = Window(RowNumber(), partition_by=F("app_id"), order_by=F("number").desc())
    ready = of_apps.filter(state=ReleaseState.READY)
    asked = Job.objects.filter(kind=JobKind.PULL, done_at=None).values("release_id")
    there = Container.objects.filter(removed_at=None).values("release_id")
    moving = Rollout.objects.filter(state__in=UNDER_WAY).values("release_id")
    found = [
        ready.annotate(rank=rank).filter(rank__lte=settings.IMAGES_RELEASES),
        ready.filter(Exists(went_well)).annotate(rank=rank).filter(rank__lte=settings.IMAGES_RELEASES),
        of_apps.filter(state=ReleaseState.PREPARING),
        Release.objects.filter(Q(pk__in=there) | Q(pk__in=moving) | Q(pk__in=asked)),
    ]
    return {
        _digest(str(image["image"]))
        for releases in found
        for images in releases.order_by().values_list("images", flat=True)
        for image in images.values()
    }


def done(step: Step, node: Node, job: Job, message: protocol.Result) -> None:
    """What a node removed, of what it was asked to."""
    asked = set(job.payload["images"])
    gone = [image for image in message.removed if image.id in asked]
    if not gone:
        return
    names = [storable(name) for image in gone for name in image.digests]
    size = sum(max(0, image.size) for image in gone)
    logger.info("Node %s removed %d images: %s", node.name, len(gone), ", ".join(names))
    count = "an image" if len(gone) == 1 else f"{len(gone)} images"
    text = f"Node {node.name} removed {count} that no app needs any more (up to {of_bytes(size)})"
    _tell(step, node, text, {"count": len(gone), "bytes": size})
    content = {_digest(name) for image in gone for name in (image.id, *image.digests)}
    for team, own in sorted(_by_team(step, content).items()):
        _tell(step, node, f"Node {node.name} removed {_listed(own)}", {"images": own}, team)


def _tell(step: Step, node: Node, text: str, data: Mapping[str, Any], team: str = "") -> None:
    actor = f"node {node.name}"
    step.history.add(Line("node.images", text, actor, team=team, node=node.id, data=data))


def _by_team(step: Step, content: Collection[str]) -> dict[str, list[str]]:
    """The names that each team's own releases have for it: the nodes' history is everybody's, what a team runs is not,
    nor what another calls the same content."""
    if step.image_names is None:
        step.image_names = _names()
    found: defaultdict[str, list[str]] = defaultdict(list)
    for team, name in sorted({each for one in content for each in step.image_names.get(one, ())}):
        found[team].append(name)
    return found


def _names() -> dict[str, set[tuple[str, str]]]:
    """By content (`sha256:…`): the teams with a release of it, and what that calls it."""
    found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for team, images in Release.objects.order_by().values_list("app__team_id", "images").iterator():
        for image in images.values():
            name = str(image["image"])
            found[_digest(name)].add((team, name))
    return found


def _listed(names: Sequence[str]) -> str:
    """`registry/app@0123456789ab, … and 3 more`."""
    short = [
        f"{name.partition('@')[0]}@{_digest(name).removeprefix('sha256:')[:12]}" for name in names[:NAMED]
    ]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(short) + more
