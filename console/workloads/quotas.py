"""What a team may have, has, and would have. An app claims its containers at their limits, stopped or not, and while it
is rolled out or restarted also those that a start-first update runs beside them. What is no longer wanted, after a
scale, a deletion or a restart that was taken back, counts until it has ended: a long grace period makes no room.

A change settles its app's claim in its own transaction, with the team's row locked: whoever comes second sees it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace

from django.db.models import Aggregate, Count, Exists, Expression, F, OuterRef, Q, QuerySet, Sum, Value
from django.utils.translation import gettext as _

from console.accounts.models import Quota, Team
from console.cluster.models import Node
from console.common.errors import Unprocessable
from console.common.prepared import Prepared
from console.common.writes import update
from console.workloads import releases, restarts
from console.workloads.compose import Project, spec_digest
from console.workloads.compose import Service as Spec
from console.workloads.enums import ENDED, UNDER_WAY, OperationKind, OperationState, ReleaseState
from console.workloads.models import App, Container, Operation, Release, Rollout, Service
from scheduler.model import Mode

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Amount:
    """CPU in thousandths of a core, memory in bytes."""

    apps: int = 0
    containers: int = 0
    cpu: int = 0
    memory: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Amount) -> Amount:
        return Amount(*(one - two for one, two in zip(astuple(self), astuple(other), strict=True)))

    def most(self, other: Amount) -> Amount:
        return Amount(*map(max, astuple(self), astuple(other)))


@dataclass(frozen=True, slots=True)
class Claim:
    """Of one app: what it has for good, and what comes on top while it is rolled out or restarted."""

    steady: Amount
    surge: Amount

    @property
    def whole(self) -> Amount:
        return self.steady + self.surge


@dataclass(frozen=True, slots=True)
class Use:
    """Of a team: what is used, and what is allowed (None: as much as there is). `priority` is the highest that its
    services may have."""

    used: Amount
    allowed: Mapping[str, int | None]
    priority: int = 0

    def lacking(self, before: Amount) -> list[str]:
        """Where it is over the quota and above `before`: what goes down is never refused."""
        has, had = asdict(self.used), asdict(before)
        return [
            key
            for key, most in self.allowed.items()
            if most is not None and has[key] > most and has[key] > had[key]
        ]


@dataclass(frozen=True, slots=True)
class WouldUse:
    """A change that was only thought of: `lacking` names what the quota does not allow."""

    before: Amount
    after: Amount
    allowed: Mapping[str, int | None]
    lacking: tuple[str, ...]


def _sums(apps: QuerySet[App], number: Expression | Aggregate, kind: str) -> QuerySet[App, tuple[int, ...]]:
    """As an `Amount`, of all the apps of one team together; no row where there are none."""
    sums = [Sum(f"{kind}_{key}") for key in ("containers", "cpu", "memory")]
    return apps.order_by().values("team").annotate(number=number).values_list("number", *sums)


def _going(app: str) -> Q:
    """Containers of the app (a column) are replaced: by a rollout, or by a restart that was asked for."""
    return Q(Exists(Rollout.objects.filter(app=OuterRef(app), state__in=UNDER_WAY))) | Q(
        Exists(
            Operation.objects.filter(
                app_id=OuterRef(app), kind=OperationKind.RESTART, state=OperationState.RUNNING
            )
        )
    )


_STEADY = Prepared(
    lambda team: _sums(App.objects.filter(team=team, deleting=False), Count("pk"), "claimed"),
)
_SURGING = Prepared(
    lambda team: _sums(App.objects.filter(_going("pk"), team=team, deleting=False), Value(0), "surge"),
)

_STOPPING = Prepared(
    lambda team: (
        Container.objects.filter(
            Q(slot__retired=True)
            | Q(app__deleting=True)
            | Q(generation__lt=F("slot__generation")) & ~_going("app_id"),
            app__team=team,
            removed_at=None,
        )
        .exclude(state__in=ENDED)
        .order_by()
        .values("app__team")
        .annotate(apps=Value(0), containers=Count("pk"), cpus=Sum("cpu_limit"), bytes=Sum("memory_limit"))
        .values_list("apps", "containers", "cpus", "bytes")
    )
)
"""Containers that run though nothing wants them: of slots that are no more, of apps that are being deleted, and beside
the next one of their slot where no surge counts them: a restart was taken back, or a node is drained."""

_QUOTA = Prepared(lambda team: Quota.objects.filter(team=team)[:1])
_LOCKED = Prepared(lambda team: Team.objects.select_for_update(no_key=True).filter(pk=team))
_UNDER_WAY = Prepared(lambda app: Rollout.objects.filter(app=app, state__in=UNDER_WAY)[:1])
_REPLICAS: Prepared[tuple[str, int]] = Prepared(
    lambda app: Service.objects.filter(app=app).values_list("name", "replicas")
)
_CLAIMED: Prepared[tuple[int, int, int]] = Prepared(
    lambda app: App.objects.filter(pk=app).values_list("claimed_containers", "claimed_cpu", "claimed_memory")
)
_SURGE: Prepared[tuple[int, int, int]] = Prepared(
    lambda app: App.objects.filter(_going("pk"), pk=app).values_list(
        "surge_containers", "surge_cpu", "surge_memory"
    )
)
_SETTLED = [f"{kind}_{what}" for kind in ("claimed", "surge") for what in ("containers", "cpu", "memory")]


def allowed(team: Team) -> dict[str, int | None]:
    return _amounts(_row(team))


def use_of(team: Team) -> Use:
    row = _row(team)
    return Use(used(team), _amounts(row), row.priority)


def _row(team: Team) -> Quota:
    return _QUOTA.first(team.pk) or Quota(team=team)


def _amounts(row: Quota) -> dict[str, int | None]:
    return {"apps": row.apps, "containers": row.containers, "cpu": row.cpu, "memory": row.memory}


def used(team: Team) -> Amount:
    """What all its apps claim now, and what still stops."""
    rows = (*_STEADY(team.pk), *_SURGING(team.pk), *_STOPPING(team.pk))
    return sum((Amount(*row) for row in rows), Amount())


def used_before(app: App) -> Amount:
    """What its team uses before a change of this app, which is counted as it stands now: its global services have
    grown with every node that joined since it was settled."""
    return used(app.team) - _kept_claim(app) + _claim_now(app)


def would_use(team: Team, app: App | None, project: Project, *, rollback: bool = False) -> WouldUse:
    """If `project` were the newest release of the app (None: of a new one)."""
    use = use_of(team)
    had, now = (_kept_claim(app), _claim_now(app)) if app else (Amount(), Amount())
    after = use.used - had + claim(app, project, rollback=rollback).whole
    return _would(replace(use, used=use.used - had + now), after)


def would_scale(service: Service, replicas: int) -> WouldUse:
    """If the service were scaled."""
    use = use_of(service.app.team)
    release = _newest(service.app)
    if release is None:
        return _would(use, use.used)
    found = claim(service.app, release.project, release=release, scaled={service.name: replicas})
    others = use.used - _kept_claim(service.app)
    return _would(replace(use, used=others + _claim_now(service.app)), others + found.whole)


def most_more(service: Service, limit: int) -> tuple[int, str]:
    """How many more replicas of the service the quota lets its team ask for, at most `limit`; and, below that, what
    it says to the next one."""

    def refused(more: int) -> bool:
        return bool(would_scale(service, service.replicas + more).lacking)

    if all(most is None for most in allowed(service.app.team).values()) or not refused(limit):
        return limit, ""
    fits = bisect_left(range(1, limit + 1), True, key=refused)
    would = would_scale(service, service.replicas + fits + 1)
    return fits, str(exceeded(would.before, would.after, would.allowed, would.lacking).message)


def lock_team(team_id: str) -> None:
    """Before an app's own row is: all who settle claims of a team come one after the other."""
    if not _LOCKED(team_id):
        raise Team.DoesNotExist


def check_priorities(app: App, project: Project) -> None:
    """Before `project` becomes the app's newest release: raises `Unprocessable` `quota_exceeded` where a service's
    priority is above what the team may have, and above what the service has already."""
    most, newest = _row(app.team).priority, _newest(app)
    had = newest.project.services if newest else {}
    over = {
        name: spec.priority
        for name, spec in {**project.services, **project.commands}.items()
        if spec.priority > most and not (name in had and spec.priority <= had[name].priority)
    }
    if not over:
        return
    text = _(
        "The team's quota does not allow this. Services may have a priority of up to %(most)d here; %(services)s. "
        "Lower it (x-berth: priority), or ask a platform administrator for more."
    )
    asked = _("%(service)s asks for %(priority)d")
    lines = [asked % {"service": name, "priority": priority} for name, priority in over.items()]
    data = {"lacking": ["priority"], "asked": {"priority": over}, "allowed": {"priority": most}}
    message = text % {"most": most, "services": ", ".join(lines)}
    raise Unprocessable(message, code="quota_exceeded", data=data)


def settle(app: App, before: Amount | None) -> None:
    """Write what the app claims now that it was changed, in the transaction that changed it. Raises `Unprocessable`
    `quota_exceeded` where the team then has more than it may, and more than `before` the change (None: let it pass).

    Called after the app's rollout or restart, if any, was begun: its surge counts for as long as that is under way.
    """
    release = _newest(app)
    found = claim(app, release.project, release=release) if release else Claim(Amount(), Amount())
    steady, surge = found.steady, found.surge
    app.claimed_containers, app.claimed_cpu, app.claimed_memory = steady.containers, steady.cpu, steady.memory
    app.surge_containers, app.surge_cpu, app.surge_memory = surge.containers, surge.cpu, surge.memory
    update(app, _SETTLED)
    use = use_of(app.team)
    if before is not None and (lacking := use.lacking(before)):
        raise exceeded(before, use.used, use.allowed, lacking)


def claim(
    app: App | None,
    project: Project,
    *,
    release: Release | None = None,
    rollback: bool = False,
    scaled: Mapping[str, int] | None = None,
) -> Claim:
    """What the app claims with this project as its newest: that of `release`, or (None) of one yet to be made, whose
    rollout, or rollback, then begins."""
    rows = dict(_REPLICAS(app.pk)) if app else {}
    before = releases.ready_before(app, release.number if release else None) if app else None
    old = before.project if before else None
    taken = release is not None and release.state == ReleaseState.READY
    rollout = _rollout(app) if app and release else None
    rollback = rollback or (rollout is not None and rollout.rollback)
    nodes = max(1, Node.objects.count())
    new = {
        name: nodes if Mode(spec.mode).everywhere else _replicas(spec, None if taken else old, rows)
        for name, spec in project.services.items()
    }
    new |= scaled or {}
    steady = Amount(apps=1) + _sum(project, new)
    present = [project] if taken or old is None else [project, old]
    beside = _restarting(app, present, {**rows, **new}, rollback) if app else {}
    if release is not None and rollout is None:
        return Claim(steady, sum(beside.values(), Amount()))
    most = steady
    if app is not None and old is not None:
        for name, spec in project.services.items():
            if name in old.services and _changes(old.services[name], spec):
                beside[name] = beside.get(name, Amount()).most(_beside(spec, new[name], rollback))
        most = steady.most(_steady(app)).most(_to_go_back_to(app, project, rows))
    return Claim(steady, most + sum(beside.values(), _commands(project)) - steady)


def _restarting(
    app: App, projects: Sequence[Project], replicas: Mapping[str, int], rollback: bool
) -> dict[str, Amount]:
    """What restarts run beside the others, by service. `projects`: those whose services may be there now. A rollback
    that is under way replaces by its own config, and may end before the restart does."""
    found: dict[str, Amount] = {}
    specs = [spec for project in projects for spec in project.services.values()]
    names = restarts.under_way(app, specs)
    for spec in specs:
        if spec.name in names:
            count = replicas.get(spec.name, spec.replicas)
            beside = _beside(spec, count, False).most(_beside(spec, count, rollback))
            found[spec.name] = found.get(spec.name, Amount()).most(beside)
    return found


def exceeded(
    before: Amount, after: Amount, most: Mapping[str, int | None], lacking: list[str] | tuple[str, ...]
) -> Unprocessable:
    """The refusal: of each thing that falls short what is used, asked and allowed; and the way to more."""
    had, has = asdict(before), asdict(after)
    lines = [
        _("%(what)s: %(used)s used, %(asked)s more asked, %(allowed)s allowed")
        % {
            "what": _what(key),
            "used": shown(key, had[key]),
            "asked": shown(key, has[key] - had[key]),
            "allowed": shown(key, most[key] or 0),
        }
        for key in lacking
    ]
    text = _(
        "The team's quota does not allow this. %(lines)s. Scale down or delete something, let rollouts stop containers "
        "before they start new ones (update_config: order: stop-first), or ask a platform administrator for more."
    ) % {"lines": "; ".join(lines)}
    data = {"used": had, "asked": asdict(after - before), "allowed": dict(most), "lacking": list(lacking)}
    return Unprocessable(text, code="quota_exceeded", data=data)


def shown(key: str, value: int) -> str:
    """As people read it."""
    if key == "cpu":
        return f"{value / 1000:g}"
    if key == "memory":
        return f"{value / _MIB:.0f} MiB"
    return str(value)


def _what(key: str) -> str:
    return {"apps": _("apps"), "containers": _("containers"), "cpu": _("CPUs"), "memory": _("memory")}[key]


def _would(use: Use, after: Amount) -> WouldUse:
    return WouldUse(use.used, after, use.allowed, tuple(Use(after, use.allowed).lacking(use.used)))


def _to_go_back_to(app: App, project: Project, rows: Mapping[str, int]) -> Amount:
    """What the last release that was rolled out well has: a rollout that does not end well goes back to it, however
    many releases came between. `project`: of the newest one."""
    release = releases.rolled_out(app)
    if release is None:
        return Amount()
    counts = {name: _replicas(spec, project, rows) for name, spec in release.project.services.items()}
    return Amount(apps=1) + _sum(release.project, counts)


def _steady(app: App) -> Amount:
    """As it was settled last."""
    [claimed] = _CLAIMED(app.pk)
    return Amount(1, *claimed)


def _kept_claim(app: App) -> Amount:
    steady, going = _steady(app), _SURGE.first(app.pk)
    return steady if going is None else steady + Amount(0, *going)


def _claim_now(app: App) -> Amount:
    """As it would be settled now."""
    release = _newest(app)
    return claim(app, release.project, release=release).whole if release else Amount(apps=1)


def _rollout(app: App) -> Rollout | None:
    """The one that is under way."""
    return _UNDER_WAY.first(app.pk)


def _newest(app: App) -> Release | None:
    """Of those that were not given up."""
    return releases.newest(app)


def _replicas(spec: Spec, old: Project | None, rows: Mapping[str, int]) -> int:
    """As `take_services` will have it: a scale stays until the file's own number changes. Without an old project the
    rows have it already."""
    before = old.services.get(spec.name) if old else None
    if old is not None and (before is None or before.replicas != spec.replicas):
        return spec.replicas
    return rows.get(spec.name, spec.replicas)


def _sum(project: Project, replicas: Mapping[str, int]) -> Amount:
    total = Amount()
    for name, count in replicas.items():
        if name in project.services:
            total += _times(project.services[name], count)
    return total


def _times(spec: Spec, count: int) -> Amount:
    return Amount(0, count, spec.resources.cpu * count, spec.resources.memory * count)


def _commands(project: Project) -> Amount:
    total = Amount()
    for spec in project.commands.values():
        total += _times(spec, 1)
    return total


def _changes(old: Spec, new: Spec) -> bool:
    """Its containers may be replaced. A tag may stand for another image each time."""
    same = spec_digest(old, image=old.image) == spec_digest(new, image=new.image)
    return not same or "@sha256:" not in new.image or bool(new.secret_names)


def _beside(spec: Spec, replicas: int, rollback: bool) -> Amount:
    """What runs beside the others while they are replaced."""
    config = spec.filled_in(spec.rollback if rollback else spec.update, replicas)
    if config.order != "start-first":
        return Amount()
    at_once = config.parallelism or replicas
    return _times(spec, min(at_once, replicas))
