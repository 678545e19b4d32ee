"""What has been used over time, as faces show it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import redis
from django.utils.translation import gettext as _

from console.accounts.models import Team
from console.cluster import series
from console.cluster.models import Node
from console.common.errors import BerthError, Unavailable
from console.workloads.models import App, Service, Slot

STEPS = tuple(ring.step for ring in series.RINGS)
AGES = tuple(ring.keep for ring in series.RINGS)
USUAL_SERIES, MOST_SERIES = 20, 100

Numbers = list[float | None]


@dataclass(frozen=True, slots=True)
class Window:
    """`count` steps from `begin` on, the newest of them (possibly) under way."""

    ring: series.Ring
    begin: int
    count: int


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One thing's numbers; None where nothing is known. The peaks are the highest ten seconds of a step."""

    id: str
    name: str
    cpu: Numbers
    cpu_max: Numbers
    memory: Numbers
    memory_max: Numbers
    net_rx: Numbers
    net_tx: Numbers
    block_read: Numbers
    block_write: Numbers


class History(msgspec.Struct, frozen=True, kw_only=True):
    """`at`: when each step began, in Unix seconds. `left_out`: how many more there are, which used less."""

    step: int
    at: list[int]
    series: list[Series]
    left_out: int = 0


def window(age: int, step: int | None = None) -> Window:
    """The last `age` seconds, in steps of `step`: by default the finest that are kept for so long."""
    kept = [ring for ring in series.RINGS if ring.keep >= age]
    ring = next((ring for ring in kept if step in {None, ring.step}), None)
    if ring is None:
        message = _("Steps of %(step)s seconds are not kept for so long.") % {"step": step}
        raise BerthError(message, fields={"step": [message]})
    newest = (int(time.time()) - series.FINEST.step) // ring.step * ring.step
    count = max(1, age // ring.step)
    return Window(ring, newest - (count - 1) * ring.step, count)


def of_team(team: Team, wanted: Window, *, by: str, limit: int) -> History:
    """The team as a whole, or each of its apps."""
    apps = App.objects.filter(team=team).order_by("name").values_list("id", "name")
    return _history("team", [(team.id, team.slug)] if by == "team" else list(apps), wanted, by, limit)


def of_app(app: App, wanted: Window, *, by: str, limit: int) -> History:
    """The app as a whole, or each of its services or slots."""
    match by:
        case "service":
            found = list(Service.objects.filter(app=app).order_by("name").values_list("id", "name"))
        case "slot":
            found = _slots(Slot.objects.filter(service__app=app).values_list("id", "service__name", "index"))
        case _:
            found = [(app.id, app.name)]
    return _history("app", found, wanted, by, limit)


def of_service(service: Service, wanted: Window, *, by: str, limit: int) -> History:
    """The service as a whole, or each of its slots."""
    slots = Slot.objects.filter(service=service).values_list("id", "service__name", "index")
    found = [(service.id, service.name)] if by == "service" else _slots(slots)
    return _history("service", found, wanted, by, limit)


def of_slot(slot: Slot, wanted: Window) -> History:
    return _history("slot", [(slot.id, str(slot))], wanted, "slot", 1)


def of_node(node: Node, wanted: Window) -> History:
    """CPU and memory of the host; network and disk of its containers."""
    return _history("node", [(node.id, node.name)], wanted, "node", 1)


def _slots(rows: Iterable[tuple[str, str, int]]) -> list[tuple[str, str]]:
    ordered = sorted(rows, key=lambda row: row[1:])
    return [(id_, f"{service}.{index}") for id_, service, index in ordered]


def _history(whole: str, found: Sequence[tuple[str, str]], wanted: Window, by: str, limit: int) -> History:
    """Those of which anything is known, or the whole; the busiest ones if there are more than `limit`."""
    try:
        points = series.read(wanted.ring, [f"{by}:{id_}" for id_, _name in found], wanted.begin, wanted.count)
    except (redis.RedisError, OSError) as error:
        raise Unavailable(_("Metrics cannot be read now: Redis is away."), code="redis_away") from error
    shown = [index for index, row in enumerate(points) if by == whole or row["weight"].any()]
    busiest = sorted(shown, key=lambda index: float(-points["cpu"][index].sum()))[:limit]
    return History(
        step=wanted.ring.step,
        at=[wanted.begin + index * wanted.ring.step for index in range(wanted.count)],
        series=[_series(*found[index], points[index]) for index in sorted(busiest)],
        left_out=len(shown) - len(busiest),
    )


def _series(id_: str, name: str, points: series.Points) -> Series:
    there = (points["weight"] > 0).tolist()

    def column(field: str) -> Numbers:
        rounded = np.round(points[field].astype(float), 1 if field.startswith("cpu") else 0).tolist()
        return [value if known else None for value, known in zip(rounded, there, strict=True)]

    columns = [*series.FIELDS, *(f"{field}_max" for field in series.PEAKS)]
    return Series(id=id_, name=name, **{field: column(field) for field in columns})
