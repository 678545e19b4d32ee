"""A team's volumes: which there are, who uses them, and how one is deleted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from console.accounts.access import Access
from console.cluster.access import require_administrator
from console.cluster.enums import NodeState
from console.common import audit, events
from console.common.errors import Conflict, NotFound
from console.common.prepared import Prepared
from console.workloads.enums import ENDED, OperationKind, ReleaseState
from console.workloads.models import App, Container, Operation, Release, Volume


@dataclass(frozen=True, slots=True)
class VolumeDetail:
    """`services`: those whose newest ready release mounts it. `containers`: names of those on nodes that have it."""

    volume: Volume
    services: Sequence[str] = ()
    containers: Sequence[str] = ()

    @property
    def kept(self) -> bool:
        """It has outlived its app."""
        return self.volume.app_id is None

    @property
    def why_not(self) -> str:
        """Why it cannot be deleted now; empty if it can."""
        volume = self.volume
        if self.containers:
            names = ", ".join(self.containers)
            return _("%(containers)s still has it. Stop the app, and wait until it is stopped.") % {
                "containers": names
            }
        if volume.app and volume.app.deleting:
            return _("Its app is being deleted; what becomes of it was decided there.")
        if self.services and volume.app and not volume.app.stopped:
            names = ", ".join(self.services)
            return _("The app's release mounts it (%(services)s). Stop the app, or deploy it without.") % {
                "services": names
            }
        return ""

    @property
    def lost(self) -> bool:
        """Its node does not answer, so that only forgetting it is left."""
        return self.volume.node is not None and self.volume.node.state == NodeState.DOWN


_OF_APP = Prepared(
    lambda team, app: Volume.objects.filter(team=team, app=app).select_related("app", "node").order_by("name")
)


def rows_of(access: Access, app: App | None = None) -> QuerySet[Volume]:
    """The team's volumes, or one app's: of those, the ones that the token may know of."""
    rows = Volume.objects.filter(team=access.team).select_related("app", "node")
    rows = rows.filter(app=app) if app else rows
    return rows if access.apps is None else rows.filter(app__in=access.apps)


def volumes_of_app(access: Access, app: App) -> list[VolumeDetail]:
    return details(_OF_APP(access.team.id, app.id) if access.sees(app.id) else [])


def volumes_of(access: Access) -> list[VolumeDetail]:
    """All of the team's, those kept of deleted apps last."""
    rows = rows_of(access)
    return details(sorted(rows, key=lambda row: (row.app_id is None, row.app_name, row.name)))


def find_volume(access: Access, volume_id: str) -> VolumeDetail:
    volume = Volume.objects.filter(team=access.team, pk=volume_id).select_related("app", "node").first()
    if volume is None or not access.sees(volume.app_ref):
        raise NotFound(_("There is no such volume."))
    return details([volume])[0]


@transaction.atomic
def delete_volume(access: Access, volume: Volume, *, forget: bool = False) -> Operation:
    """Delete its data for good. Refused while something has it, or would take it up again. `forget` is for a node
    that is gone: an administrator strikes the volume out, and whatever is left of it stays where it is."""
    app = App.objects.filter(volumes=volume)
    # Whoever makes a release or starts the app waits for this, or this for them.
    access.require_write(app.select_for_update(of=("self",), no_key=True).first())
    found = find_volume(access, volume.pk)
    volume = found.volume
    running = Operation.objects.filter(
        team=access.team, app_id=volume.app_ref, kind=OperationKind.VOLUME, target=volume.name
    ).first()
    if volume.deleting and running and volume.forget == forget:
        return running
    if forget:
        require_administrator(access)
        if not found.lost:
            raise Conflict(
                _("Its node answers, so delete the volume instead of forgetting it."), code="node_answers"
            )
    elif why := found.why_not:
        code = "volume_in_use" if found.containers else "volume_wanted"
        data = {"containers": list(found.containers), "services": list(found.services)}
        raise Conflict(why, code=code, data=data)
    volume.deleting, volume.forget = True, forget
    volume.save(update_fields=["deleting", "forget"])
    return _operate(access, volume, forget=forget)


def _operate(access: Access, volume: Volume, *, forget: bool) -> Operation:
    now, name = timezone.now(), f"{volume.app_name}/{volume.name}"
    where = f" on {volume.node.name}" if volume.node else ""
    text = f"Volume {name}{where} is to be {'forgotten' if forget else 'deleted for good'}"
    operation = Operation.objects.create(
        team=access.team,
        app_id=volume.app_ref,
        app_name=volume.app_name,
        kind=OperationKind.VOLUME,
        target=volume.name,
        actor=access.actor,
        created_at=now,
        steps=[{"at": now.isoformat(), "text": text}],
    )
    events.record(
        "volume.delete",
        text,
        actor=access.actor,
        team=volume.team_id,
        app=volume.app_ref,
        node=volume.node_id or "",
        data=audit.change(
            {"name": name, "node": volume.node.name if volume.node else "", "bytes": volume.bytes},
            None,
            volume=volume.id,
            forget=forget,
        ),
        warning=True,
    )
    events.mark_dirty(volume.app_ref)
    events.announce(volume.team_id, "volume", volume.id)
    return operation


def details(volumes: Sequence[Volume]) -> list[VolumeDetail]:
    if not volumes:
        return []
    apps = [volume.app for volume in volumes if volume.app]
    mounted, used = _mounted(apps), _used(apps)
    return [VolumeDetail(one, mounted.get(one.key, ()), used.get(one.key, ())) for one in volumes]


def _mounted(apps: Sequence[App]) -> Mapping[str, list[str]]:
    """Services by volume: of each app's newest release that is ready, and of newer ones that may become so."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    known: set[str] = set()
    wanted = Q(state=ReleaseState.READY) | Q(state__in=[ReleaseState.RESOLVING, ReleaseState.PREPARING])
    releases = Release.objects.filter(wanted, app__in=apps).order_by("-number").defer("compose", "files")
    for release in releases:
        if release.app_id in known:
            continue
        if release.state == ReleaseState.READY:
            known.add(release.app_id)
        for name, spec in release.project.services.items():
            for mount in spec.volumes:
                if mount.kind == "volume":
                    found[f"{release.app_id}/{mount.source}"].add(name)
    return {key: sorted(names) for key, names in found.items()}


def _used(apps: Sequence[App]) -> Mapping[str, list[str]]:
    """Containers by volume. One that has ended holds its volume until it is removed from its node; on a node that
    is gone nothing does."""
    rows = Container.objects.filter(app__in=apps, removed_at=None)
    gone = Q(state__in=ENDED, node__state=NodeState.DOWN)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, keys in rows.exclude(gone).order_by("name").values_list("name", "volumes"):
        for key in keys:
            found[key].append(name)
    return found
