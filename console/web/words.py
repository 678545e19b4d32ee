"""Settings of a service as people say them."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from console.web.numbers import bytesize
from console.workloads.compose import Service
from console.workloads.compose.model import Affinity, GenericResource, Update
from scheduler.model import Mode

_ACTIONS = {
    "pause": lambda: _("stops on failure"),
    "continue": lambda: _("goes on in spite of failures"),
    "rollback": lambda: _("rolls back on failure"),
}
_CONDITIONS = {
    "started": lambda: _("up"),
    "healthy": lambda: _("healthy"),
    "completed": lambda: _("completed"),
}


def update_words(update: Update) -> str:
    """An update_config that is filled in: '2 at a time, new first, 10 s apart, rolls back on failure'."""
    count = update.parallelism or 0
    parts = [
        ngettext("%(n)d at a time", "%(n)d at a time", count) % {"n": count} if count else _("all at once"),
        _("new first") if update.order == "start-first" else _("old stops first"),
    ]
    if update.delay:
        parts.append(_("%(time)s apart") % {"time": seconds(update.delay)})
    if update.monitor:
        parts.append(_("watched for %(time)s") % {"time": seconds(update.monitor)})
    if update.max_failure_ratio:
        parts.append(_("%(share)s may fail") % {"share": f"{update.max_failure_ratio:.0%}"})
    return _(", ").join([*parts, _ACTIONS[update.failure_action]()])


def seconds(value: float) -> str:
    """A duration in one unit, or two."""
    if value >= 60:
        whole, rest = divmod(round(value), 60)
        return _("%(n)d min") % {"n": whole} + (" " + _("%(n)g s") % {"n": rest} if rest else "")
    return _("%(n)g s") % {"n": value}


def mode_words(mode: Mode) -> str:
    return {
        Mode.REPLICATED: _("Replicated"),
        Mode.GLOBAL: _("Global: one on every node that fits"),
        Mode.REPLICATED_JOB: _("Job: runs to its end once"),
        Mode.GLOBAL_JOB: _("Global job: runs to its end once on every node that fits"),
    }[mode]


def mode_label(mode: Mode) -> str:
    """Of one that is not the usual one: a word or two."""
    return {
        Mode.REPLICATED: "",
        Mode.GLOBAL: _("Global"),
        Mode.REPLICATED_JOB: _("Job"),
        Mode.GLOBAL_JOB: _("Global job"),
    }[mode]


def placement_words(spec: Service) -> list[str]:
    """Where its containers may go, and where they had better go."""
    placement = spec.placement
    lines = [f"{one.key} {'==' if one.equal else '!='} {one.value}" for one in placement.constraints]
    lines += [_("spread over %(key)s") % {"key": one.key} for one in placement.spreads]
    lines += [_affinity(one) for one in placement.affinity]
    if placement.max_per_node:
        lines.append(_("at most %(n)d on a node") % {"n": placement.max_per_node})
    if spec.exclusive:
        lines.append(_("never two at once"))
    return lines


def _affinity(one: Affinity) -> str:
    said = _("away from %(service)s (%(key)s)") if one.anti else _("near %(service)s (%(key)s)")
    text = said % {"service": _("all of the app") if one.service == "*" else one.service, "key": one.over}
    return _("%(what)s, required") % {"what": text} if one.required else text


def dependency_words(spec: Service) -> list[str]:
    return [
        _("%(service)s is %(condition)s")
        % {"service": one.service, "condition": _CONDITIONS[one.condition]()}
        for one in spec.depends_on
    ]


def resource_words(spec: Service) -> list[str]:
    """What it asks of a node beyond CPU and memory."""
    disk = [_("%(size)s of disk") % {"size": bytesize(spec.resources.disk)}] if spec.resources.disk else []
    return [*disk, *_generic(spec.resources.generic)]


def _generic(resources: Iterable[GenericResource]) -> list[str]:
    return [f"{one.units or f'{one.share / 1000:g}'} × {one.kind}" for one in resources]
