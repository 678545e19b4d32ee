"""Volumes that a person wants gone: asked of their nodes, and what the nodes say of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from console.cluster.enums import JobKind
from console.cluster.models import Job, Node
from console.common import events
from console.common.prepared import Prepared
from console.controller import jobs
from console.controller.context import Step
from console.controller.history import Line
from console.controller.rows import BATCH, chunks
from console.workloads import operations
from console.workloads.enums import OperationKind, OperationState
from console.workloads.models import App, Container, Operation, Volume
from nodeagent import protocol
from scheduler.lifecycle import State

MOST_BYTES = 2**62
_DELETING = Prepared(lambda apps: Volume.objects.filter(deleting=True, app_ref__in=apps))
ENDED = [state.value for state in State if state.ended]


def carry_on(step: Step) -> None:
    """Have deleted what is to be deleted of the apps that this step looks at, also of those that are gone."""
    if not step.dirty:
        return
    for volume in chain.from_iterable(_DELETING(some) for some in chunks(step.dirty)):
        if volume.forget or volume.node_id is None:
            _gone(step, [volume], "forgotten")
        else:
            jobs.add_single_removal(step, volume)


def keep(step: Step, app: App) -> None:
    """The app goes, its volumes stay on their nodes."""
    Volume.objects.filter(app=app, node=None).delete()
    kept = Volume.objects.filter(app=app)
    names = ", ".join(f"{volume.name} on {volume.node}" for volume in kept.select_related("node"))
    if names:
        step.tell_app(app, f"Kept of {app.name}: {names}", kind="volume.kept")
        kept.update(app=None, kept_at=step.now)


def in_the_way(job: Job, message: protocol.Result) -> bool:
    """Whether a volume cannot be removed because a container uses it: then it is wanted after all."""
    single = job.kind == JobKind.REMOVE and str(job.payload["slot"]).startswith(jobs.SINGLE_VOLUME)
    return single and not message.ok and message.code == "in-use"


def removed(step: Step, node: Node, job: Job, message: protocol.Result) -> None:
    """How a node's removal of volumes ended."""
    found = [volume for volume in node.volumes.all() if volume.engine_name in job.payload["volumes"]]
    if message.ok:
        _gone(step, found, "deleted")
    else:
        _call_off(step, found, message.message)


def measured(step: Step, node: Node, message: protocol.Volumes) -> None:
    """What the node's volumes take on its disk. Of volumes that are not there by the console's word nothing is kept."""
    sizes = {fact.name: min(fact.bytes, MOST_BYTES) for fact in message.volumes}
    found = [volume for volume in node.volumes.all() if sizes.get(volume.engine_name, -1) >= 0]
    for volume in found:
        volume.bytes, volume.measured_at = sizes[volume.engine_name], step.now
        step.announce(volume.team_id, "volume", volume.id)
    Volume.objects.bulk_update(found, ["bytes", "measured_at"], batch_size=BATCH)


def _gone(step: Step, found: Sequence[Volume], fate: str) -> None:
    """One that a container was started with meanwhile is there again, and empty."""
    used = _used(found)
    for volume in found:
        step.dirty.add(volume.app_ref)
        _tell(step, volume, f"Volume {volume.app_name}/{volume.name} is {fate}")
        end(step, volume, OperationState.SUCCEEDED)
    again = [volume.pk for volume in found if volume.key in used]
    Volume.objects.filter(pk__in=again).update(deleting=False, bytes=None, measured_at=None)
    gone = [volume for volume in found if volume.pk not in again]
    step.live.unbind(volume.key for volume in gone)
    Volume.objects.filter(pk__in=[volume.pk for volume in gone]).delete()


def _call_off(step: Step, found: Sequence[Volume], why: str) -> None:
    Volume.objects.filter(pk__in=[volume.pk for volume in found]).update(deleting=False)
    for volume in found:
        _tell(step, volume, f"Volume {volume.app_name}/{volume.name} is not deleted: {why}", warning=True)
        end(step, volume, OperationState.FAILED, "A container uses it. Stop the app first.")


def _used(found: Iterable[Volume]) -> set[str]:
    apps = {volume.app_ref for volume in found}
    live = Container.objects.filter(app__in=apps, removed_at=None).exclude(state__in=ENDED)
    return {key for keys in live.values_list("volumes", flat=True) for key in keys}


def _tell(step: Step, volume: Volume, text: str, *, warning: bool = False) -> None:
    kind = "volume.kept" if warning else "volume.deleted"
    step.history.add(
        Line(
            kind,
            text,
            events.CONTROLLER,
            team=volume.team_id,
            app=volume.app_ref,
            node=volume.node_id or "",
            warning=warning,
        )
    )
    step.announce(volume.team_id, "volume", volume.id)


def end(step: Step, volume: Volume, state: OperationState, error: str = "") -> None:
    """Whoever asked for its deletion is told how that ended."""
    running = Operation.objects.filter(
        app_id=volume.app_ref, kind=OperationKind.VOLUME, target=volume.name, state=OperationState.RUNNING
    )
    for operation in running:
        operations.end(operation, state, step.now, error)
