"""Before a container that serves is stopped for another: would that one find a node, and is its image there?

The node is found on a copy of the cluster. An image that is missing there is fetched by a job of its own, one for
each node and image of a release; until it is there, the old container serves on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from console.cluster.enums import JobKind
from console.cluster.models import Job, Node
from console.common.ids import new_id
from console.controller import explanations, jobs, rows
from console.controller.appview import Rows
from console.controller.context import Step
from console.controller.explanations import Chosen, Reasons
from console.workloads.models import Container, Release, Slot
from scheduler import model
from scheduler.rehearsal import Stage


class Rehearsal:
    """Of one app in one step."""

    def __init__(self, step: Step, app: Rows) -> None:
        self._step, self._app = step, app
        self._stage: Stage | None = None
        self._fetches: dict[tuple[str, str], Job] | None = None
        self._held: dict[str, Slot] = {}
        self._leaving: dict[str, Container] = {}
        self._reasons = Reasons()

    def answer(self, slot_id: str, placement: model.Placement) -> model.Rehearsed:
        """See `scheduler.rehearsal.plan_with`."""
        failed: dict[str, model.Rehearsed] = {}
        while True:
            # Nodes that could not get the image come last: another one may.
            avoid = (*placement.avoid, *failed)
            prefer = "" if placement.prefer in avoid else placement.prefer
            node, answer = self._try(slot_id, replace(placement, prefer=prefer, avoid=avoid), failed)
            if not answer.failure or node in failed or self._is_hopeless(node, placement):
                break
            failed[node] = answer
        if failed and answer.ready:
            self._send_on(placement.leaves, node)
        return answer

    def _try(
        self, slot_id: str, placement: model.Placement, failed: Mapping[str, model.Rehearsed]
    ) -> tuple[str, model.Rehearsed]:
        """The node that it would be placed on, if any, and what would become of it there."""
        slot, request = self._app.slots[slot_id], placement.request
        self._stage = self._stage or Stage(self._step.live.cluster)
        want = model.Want(request, slot.id, new_id(), placement.node, placement.prefer, placement.avoid)
        decision = self._stage.take_place(want, placement.leaves)
        if decision.node is None:
            if self._step.live.may_evict(request):
                # Others will make room for it: its place is found once the old one is gone.
                return "", model.Rehearsed("anywhere")
            chosen = [Chosen(slot, placement, decision)]
            self._explain(
                explanations.explain(self._stage.cluster, self._app.app, chosen, self._step.now), slot
            )
            self._stage.take_back(want)
            return "", model.Rehearsed()
        answer = failed.get(decision.node) or self._image(slot, self._step.nodes[decision.node], placement)
        if not answer.ready:
            self._stage.take_back(want)
        return decision.node, answer

    def _is_hopeless(self, node: str, placement: model.Placement) -> bool:
        """No node can get its image."""
        job = (self._fetches or {}).get((node, placement.request.image))
        return job is not None and bool(job.result.get("fatal"))

    def _send_on(self, leaves: str, node: str) -> None:
        """Once the old one is stopped, its slot goes where the image is, and not back."""
        for container in self._app.all_containers():
            if container.id == leaves:
                container.move_to_id = node
                self._leaving[container.id] = container

    def save(self) -> set[str]:
        """Slots that have to wait, with the reasons in their rows."""
        self._reasons.save()
        rows.save(self._held.values(), ("pending", "explanation", "scores"))
        rows.save_alike(self._leaving.values(), ("move_to_id",))
        self._reasons.clear()
        return set(self._held)

    def _explain(self, reasons: Reasons, slot: Slot) -> None:
        self._reasons.made += reasons.made
        self._reasons.old |= reasons.old
        self._held[slot.id] = slot

    # -- images

    def _image(self, slot: Slot, node: Node, placement: model.Placement) -> model.Rehearsed:
        image = placement.request.image
        if any(image in (each["id"], *each.get("digests", ())) for each in node.images):
            return model.Rehearsed(node.id)
        job = self._fetch(node, self._app.known(placement.service).release, image)
        if job.done_at and job.ok:
            return model.Rehearsed(node.id)
        if job.done_at:
            return model.Rehearsed(failure=f"node {node.name} could not get its image: {job.message}")
        if slot.explanation_id:
            self._reasons.old.add(slot.explanation_id)
        slot.pending = f"waits until {node.name} has its image{': ' if job.progress else ''}{job.progress}"
        slot.explanation, slot.scores = None, {}
        self._held[slot.id] = slot
        return model.Rehearsed()

    def _fetch(self, node: Node, release: Release, image: str) -> Job:
        """The job that fetches it there; a new one where there is none, or it was dropped."""
        if self._fetches is None:
            self._fetches = {}
            asked = Job.objects.filter(release_id=release.id, kind=JobKind.PULL, payload__resolve=False)
            for job in asked.order_by("created_at"):
                self._fetches[job.node_id, job.payload["image"]] = job
        found = self._fetches.get((node.id, image))
        if found is None or (found.done_at and found.ok is None):
            found = jobs.add_fetch(self._step, node, release, self._app.app.team, image)
            self._fetches[node.id, image] = found
            text = f"Fetching {image.partition('@')[0]} on {node.name}"
            self._step.tell_app(self._app.app, text, many="Fetching images on {nodes}", where=node.id)
        return found
