"""Changes of what is wanted. Each writes rows, an event and a dirty mark in one transaction; none waits for a node."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from console.accounts.access import Access
from console.common import audit, events
from console.common.errors import BerthError, Conflict
from console.common.prepared import Prepared, PreparedUpdate
from console.common.writes import insert, update
from console.workloads import operations, queries, quotas, releases, restarts, secretstore
from console.workloads.compose import Project
from console.workloads.enums import UNDER_WAY, OperationKind, OperationState, ReleaseState, RolloutState
from console.workloads.models import App, Operation, Release, Rollout, Service, Slot
from console.workloads.parsing import parse
from scheduler.model import Mode

MOST_REPLICAS = 1000
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_LOCKED = Prepared(
    lambda app: App.objects.select_for_update(of=("self",), no_key=True).select_related("team").filter(pk=app)
)
_UNDER_WAY = Prepared(
    lambda app: Rollout.objects.filter(app=app, state__in=UNDER_WAY).select_related("operation")
)
_SERVICES = Prepared(lambda app, names: Service.objects.filter(app=app, name__in=names))
_FORGIVE = PreparedUpdate(
    lambda app: Slot.objects.filter(service__app=app), lambda _app: {"failures": 0, "not_before": None}
)
_GIVE_UP_PREPARING = PreparedUpdate(
    lambda app: Release.objects.filter(app=app, state=ReleaseState.PREPARING),
    lambda _app: {
        "state": ReleaseState.FAILED,
        "error": "Another change came before its release command was done.",
    },
)
_LEAVE = PreparedUpdate(
    lambda app, names: Service.objects.filter(app=app, present=True).exclude(name__in=names),
    lambda _app, _names: {"present": False},
)
_NO_COMMAND = PreparedUpdate(
    lambda app, name: Service.objects.filter(app=app, name=name, is_command=True),
    lambda _app, _name: {"is_command": False},
)


def create_app(
    access: Access,
    *,
    name: str,
    compose: str,
    variables: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> Operation:
    """A new app and its first release. Nothing is kept when any of it is wrong."""
    access.require_write()
    if not _NAME.fullmatch(name):
        message = _("Use up to 40 lower-case letters, digits and inner hyphens.")
        raise BerthError(
            _("“%(name)s” cannot be an app's name.") % {"name": name}, fields={"name": [message]}
        )
    project = parse(compose, variables or {}, files or {})
    try:
        with transaction.atomic():
            quotas.lock_team(access.team.id)
            before = quotas.used(access.team)
            app = App.objects.create(team=access.team, name=name)
            events.record(
                "app.created",
                f"App {name} created",
                actor=access.actor,
                team=app.team_id,
                app=app.id,
                data=audit.change(None, {"name": name}),
            )
            return _release(access, app, project, compose, variables or {}, files or {}, before)
    except IntegrityError as error:
        message = _("Your team has an app named “%(name)s” already.") % {"name": name}
        raise Conflict(message, code="name_taken", fields={"name": [message]}) from error


@transaction.atomic
def create_release(
    access: Access,
    app: App,
    *,
    compose: str,
    variables: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> Operation:
    """The app's next release. Variables and files that are not given stay as they were."""
    access.require_deploy(app)
    app = lock_app(app)
    last = releases.last(app)
    variables = dict(last.variables if last else {}) if variables is None else variables
    files = dict(last.files if last else {}) if files is None else files
    project, before = parse(compose, variables, files), quotas.used_before(app)
    return _release(access, app, project, compose, variables, files, before)


@transaction.atomic
def roll_back(access: Access, app: App, *, to: Release) -> Operation:
    """A new release with the content, and the very images, of an old one."""
    access.require_deploy(app)
    app = lock_app(app)
    if to.state != ReleaseState.READY:
        raise Conflict(
            _("Release %(number)s never became ready.") % {"number": to.number}, code="release_not_ready"
        )
    _check_readable(to)
    secretstore.check_versions(to)
    quotas.check_priorities(app, to.project)
    before = quotas.used_before(app)
    operation = go_back(app, to, actor=access.actor)
    quotas.settle(app, before)
    return operation


def _check_readable(release: Release) -> None:
    """What stands in the database may have been changed by another hand. Raises `Conflict`."""
    try:
        release.project  # noqa: B018  (it is read)
    except msgspec.ValidationError as error:
        message = _("Release %(number)s cannot be read as it is stored.") % {"number": release.number}
        raise Conflict(message, code="release_unreadable") from error


def go_back(app: App, to: Release, *, actor: str, reason: str = "") -> Operation:
    """Start the rollout of a new release with an old one's content. In the caller's transaction, the app's row
    being the caller's; `reason` is kept on the rollout that this one takes the place of."""
    release = Release(
        app=app,
        number=_next_number(app),
        compose=to.compose,
        variables=to.variables,
        files=to.files,
        model=to.model,
        warnings=to.warnings,
        images=to.images,
        digests=to.digests,
        secrets=to.secrets,
        state=ReleaseState.READY,
        rolled_back_from=to.number,
        created_by=actor,
        created_at=timezone.now(),
    )
    insert([release])
    take_services(app, release)
    text = f"Release {release.number} made from release {to.number}"
    return _roll_out(app, release, OperationKind.ROLLBACK, text, actor=actor, reason=reason)


@transaction.atomic
def scale(access: Access, service: Service, *, replicas: int) -> Operation:
    """How many slots the service has, until scaled again or a release changes the file's number."""
    access.require_write(service.app)
    if not 0 <= replicas <= MOST_REPLICAS:
        message = _("Choose between 0 and %(most)s replicas.") % {"most": MOST_REPLICAS}
        raise BerthError(message, fields={"replicas": [message]})
    app = lock_app(service.app)
    _check_service(service)
    if (spec := queries.spec_of(service)) and Mode(spec.mode).everywhere:
        message = _("%(name)s is a global service: it runs once on every node that fits.") % {"name": service}
        raise Conflict(message, code="global_service")
    before, used = service.replicas, quotas.used_before(app)
    service.replicas = replicas
    service.save(update_fields=["replicas"])
    quotas.settle(app, used)
    text = f"{service.name} scaled from {before} to {replicas}"
    change = audit.change({"replicas": before}, {"replicas": replicas}, service=service.name)
    return _operate(app, OperationKind.SCALE, actor=access.actor, target=service.name, text=text, data=change)


@transaction.atomic
def restart(access: Access, app: App, service: Service | None = None) -> Operation:
    """Replace the running containers one by one. What a start-first update config runs beside them meanwhile counts
    for the quota as in a rollout."""
    access.require_write(app)
    app = lock_app(app)
    _check_service(service)
    chosen = Service.objects.filter(app=app, present=True)
    if service:
        chosen = chosen.filter(pk=service.pk)
    before, used = restarts.requests(chosen), quotas.used_before(app)
    chosen.update(restart_at=timezone.now())
    name = service.name if service else app.name
    operation = _operate(
        app,
        OperationKind.RESTART,
        actor=access.actor,
        target=service.name if service else "",
        text=f"Restart of {name} asked for",
        data=audit.change(before, restarts.requests(chosen)),
    )
    quotas.settle(app, used)
    return operation


@transaction.atomic
def set_stopped(access: Access, app: App, service: Service | None = None, *, stopped: bool) -> Operation:
    """Stop or start a service, or the whole app; starting an app leaves single stopped services stopped."""
    access.require_write(app)
    app = lock_app(app)
    _check_service(service)
    before = service.stopped if service else app.stopped
    if service:
        service.stopped = stopped
        service.save(update_fields=["stopped"])
    else:
        app.stopped = stopped
        app.save(update_fields=["stopped"])
    kind = OperationKind.STOP if stopped else OperationKind.START
    name = service.name if service else app.name
    text = f"{'Stop' if stopped else 'Start'} of {name} asked for"
    target = service.name if service else ""
    change = audit.change({"stopped": before}, {"stopped": stopped}, service=target)
    return _operate(app, kind, actor=access.actor, target=target, text=text, data=change)


@transaction.atomic
def delete_app(access: Access, app: App, *, delete_volumes: bool) -> Operation:
    """Stop and forget the app. Its name is free at once; what is on a node that is away goes at its return."""
    access.require_write(app)
    app = lock_app(app)
    app.deleting, app.delete_volumes = True, delete_volumes
    app.save(update_fields=["deleting", "delete_volumes"])
    _supersede(app)
    names = ", ".join(app.volumes.values_list("name", flat=True))
    fate = (
        f"; its volumes ({names}) are {'deleted' if delete_volumes else 'kept on their nodes'}"
        if names
        else ""
    )
    text = f"Deletion of {app.name} asked for{fate}"
    last = releases.last(app)
    before = {"name": app.name, "stopped": app.stopped, "release": last.number if last else None}
    change = audit.change(before, None, delete_volumes=delete_volumes)
    return _operate(app, OperationKind.DELETE, actor=access.actor, text=text, data=change)


def _check_service(service: Service | None) -> None:
    """A release command is nothing that people scale, restart or stop: its release has it run, once."""
    if service is not None and service.is_command:
        message = _("%(name)s is a release command: it runs once, when a release is made.")
        raise Conflict(message % {"name": service}, code="release_command")


def lock_app(app: App) -> App:
    """The app as it is now, locked for this transaction; one that is going takes no more changes."""
    quotas.lock_team(app.team_id)
    # No more than needed: the controller, which writes rows that point at the app, must not wait for this lock
    # while it holds what this transaction goes on to change.
    locked = _LOCKED.first(app.pk)
    if locked is None:
        raise App.DoesNotExist
    if locked.deleting:
        deletion = Operation.objects.filter(app_id=locked.id, kind=OperationKind.DELETE).first()
        raise Conflict(
            _("The app %(name)s is being deleted.") % {"name": locked.name},
            code="app_deleting",
            data={"operation": deletion.id if deletion else None},
        )
    return locked


def _next_number(app: App) -> int:
    last = releases.last(app)
    return last.number + 1 if last else 1


def _release(
    access: Access,
    app: App,
    project: Project,
    compose: str,
    variables: Mapping[str, str],
    files: Mapping[str, str],
    before: quotas.Amount,
) -> Operation:
    quotas.check_priorities(app, project)
    taken, variables, files = secretstore.take_secrets(access, app, project, variables, files)
    release = Release(
        app=app,
        number=_next_number(app),
        compose=compose,
        variables=dict(variables),
        files=dict(files),
        secrets=taken,
        model=msgspec.to_builtins(project),
        warnings=[msgspec.to_builtins(warning) for warning in project.warnings],
        created_by=access.actor,
        created_at=timezone.now(),
    )
    insert([release])
    _add_services(app, release)
    text = f"Release {release.number} made"
    operation = _roll_out(app, release, OperationKind.DEPLOY, text, actor=access.actor)
    quotas.settle(app, before)
    return operation


def _roll_out(
    app: App, release: Release, kind: OperationKind, text: str, *, actor: str, reason: str = ""
) -> Operation:
    # Slots first, as the controller does: in another order the two could wait for each other.
    _FORGIVE(app.pk)
    _supersede(app, reason)
    before = releases.before(app, release.number)
    change = audit.change(_sketch(before), _sketch(release), **_changed_names(before, release))
    operation = _operate(app, kind, actor=actor, target=f"#{release.number}", text=text, data=change)
    now = timezone.now()
    rollout = Rollout(
        app=app,
        release=release,
        operation=operation,
        rollback=kind == OperationKind.ROLLBACK,
        started_at=now,
        deadline=now + timedelta(seconds=settings.ROLLOUT_DEADLINE),
    )
    insert([rollout])
    return operation


def _supersede(app: App, reason: str = "") -> None:
    for rollout in _UNDER_WAY(app.pk):
        rollout.state, rollout.reason, rollout.ended_at = RolloutState.SUPERSEDED, reason, timezone.now()
        update(rollout, ["state", "reason", "ended_at"])
        if rollout.operation:
            operations.end(rollout.operation, OperationState.SUPERSEDED, rollout.ended_at)
    _GIVE_UP_PREPARING(app.pk)


def _add_services(app: App, release: Release) -> None:
    """Rows for the services that are new with this release. Before one is ready they follow the newest file."""
    first = releases.ready_before(app) is None
    for name, spec in release.project.services.items():
        wanted = {"replicas": spec.replicas, "present": first}
        if first:
            Service.objects.update_or_create(app=app, name=name, defaults=wanted)
        else:
            Service.objects.get_or_create(app=app, name=name, defaults=wanted)
        _NO_COMMAND(app.pk, name)
    for name in release.project.commands:
        wanted = {"present": False, "is_command": True, "replicas": 1}
        Service.objects.update_or_create(app=app, name=name, defaults=wanted)


def take_services(app: App, release: Release) -> None:
    """Service rows follow the file of a release that is ready; a scale stays until the file's own number changes."""
    previous = releases.ready_before(app, release.number)
    before: Mapping[str, Any] = previous.project.services if previous else {}
    wanted = release.project.services
    _LEAVE(app.pk, wanted)
    for service in _SERVICES(app.pk, wanted):
        replicas = wanted[service.name].replicas
        unchanged = service.name in before and before[service.name].replicas == replicas
        if not service.present or (previous and not unchanged):
            service.replicas, service.present = replicas, True
            update(service, ["replicas", "present"])


def _sketch(release: Release | None) -> dict[str, Any] | None:
    """What the audit says of a release: which, and of what text and images, these as the text writes them: values of
    variables may be secret."""
    if release is None:
        return None
    project = release.project
    images = {name: project.written.get(name, spec.image) for name, spec in project.services.items()}
    digest = hashlib.sha256(release.compose.encode()).hexdigest()
    return {"release": release.number, "compose_sha256": digest, "images": images}


def _changed_names(before: Release | None, after: Release) -> dict[str, list[str]]:
    """Of variables, files and secrets that are new, gone, or other than before: their names. Values may be secret."""
    found: dict[str, list[str]] = {}
    for kind in ("variables", "files", "secrets"):
        was: Mapping[str, str] = getattr(before, kind) if before else {}
        now: Mapping[str, str] = getattr(after, kind)
        found[kind] = sorted(name for name in {**was, **now} if was.get(name) != now.get(name))
    return found


def _operate(
    app: App,
    kind: OperationKind,
    *,
    actor: str,
    text: str,
    target: str = "",
    data: Mapping[str, Any] | None = None,
) -> Operation:
    operation = operations.begin(app, kind, actor=actor, target=target, text=text)
    events.record(f"app.{kind}", text, actor=actor, team=app.team_id, app=app.id, data=data)
    events.mark_dirty(app.id)
    events.announce(app.team_id, "app", app.id)
    return operation
