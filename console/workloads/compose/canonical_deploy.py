"""`deploy`, `depends_on` and `x-berth` in their normal form. What equals Compose's default is left out."""

from __future__ import annotations

from typing import Any

from .durations import go_duration
from .model import Affinity, GenericResource, Restart, Service, Update

_CONDITIONS = {
    "started": "service_started",
    "healthy": "service_healthy",
    "completed": "service_completed_successfully",
}


def deploy_form(service: Service) -> dict[str, Any]:
    placement = service.placement
    form: dict[str, Any] = {
        "mode": None if service.mode == "replicated" else service.mode,
        "replicas": service.replicas,
        "resources": {"limits": _limits(service), "reservations": _reservations(service)},
        "placement": {
            "constraints": [f"{c.key}{'==' if c.equal else '!='}{c.value}" for c in placement.constraints],
            "preferences": [{"spread": key} for key in placement.spread],
            "max_replicas_per_node": placement.max_per_node,
        },
        "update_config": _update(service.update) or None,
        "rollback_config": _update(service.rollback) or None,
        "restart_policy": None if restart_word(service.restart) else _restart(service.restart),
        "labels": service.deploy_labels or None,
    }
    return {key: value for key, value in form.items() if value is not None}


def restart_word(restart: Restart) -> str | None:
    """As `restart` says it, which knows no times; None where it cannot."""
    if restart.delay or restart.window:
        return None
    return f"{restart.condition}:{restart.max_attempts}" if restart.max_attempts else restart.condition


def _restart(restart: Restart) -> dict[str, Any]:
    form: dict[str, Any] = {"condition": "on-failure" if restart.condition == "on-failure" else "any"}
    if restart.max_attempts:
        form["max_attempts"] = restart.max_attempts
    times = {"delay": restart.delay, "window": restart.window}
    return {**form, **{key: go_duration(seconds) for key, seconds in times.items() if seconds}}


def _limits(service: Service) -> dict[str, Any]:
    held = service.resources
    return {
        name: shown
        for key, name, shown in (
            ("cpu", "cpus", held.cpu / 1000),
            ("memory", "memory", str(held.memory)),
            ("pids", "pids", held.pids),
        )
        if key not in service.defaults
    }


def _reservations(service: Service) -> dict[str, Any]:
    """Whole units of any spelling as `generic_resources`."""
    held = service.resources
    form: dict[str, Any] = {"cpus": held.cpu_reserved / 1000} if held.cpu_reserved else {}
    if held.memory_reserved:
        form["memory"] = str(held.memory_reserved)
    units = [
        {"discrete_resource_spec": {"kind": one.kind, "value": one.units}}
        for one in held.generic
        if one.units
    ]
    return {**form, "generic_resources": units} if units else form


def _update(update: Update) -> dict[str, Any]:
    usual = Update()
    shown = {
        "parallelism": update.parallelism,
        "delay": go_duration(update.delay),
        "failure_action": update.failure_action,
        "monitor": go_duration(update.monitor),
        "max_failure_ratio": update.max_failure_ratio,
        "order": update.order,
    }
    return {key: value for key, value in shown.items() if getattr(update, key) != getattr(usual, key)}


def depends_on_form(service: Service) -> dict[str, Any]:
    return {
        one.service: {
            "condition": _CONDITIONS[one.condition],
            **({"restart": True} if one.restart else {}),
            "required": one.required,
        }
        for one in service.depends_on
    }


def own_form(service: Service) -> dict[str, Any]:
    """`x-berth`, but for units, which have a place in Compose."""
    near = [_affinity(one) for one in service.placement.affinity if not one.anti]
    away = [_affinity(one) for one in service.placement.affinity if one.anti]
    form: dict[str, Any] = {
        "priority": service.priority,
        "exclusive": service.exclusive,
        "release_command": list(service.release_command or ()),
        "secret_environment": service.secret_environment,
        "size": service.size,
        "spread": [{"over": one.key, "weight": one.weight} for one in service.placement.weighted],
        "affinity": near,
        "anti_affinity": away,
        "disk": str(service.resources.disk) if service.resources.disk else "",
        "resources": {one.kind: _share(one) for one in service.resources.generic if one.share},
    }
    return {key: value for key, value in form.items() if value}


def _affinity(one: Affinity) -> dict[str, Any]:
    weighed = {"required": True} if one.required else {"weight": one.weight}
    return {"service": one.service, "over": one.over, **weighed}


def _share(one: GenericResource) -> dict[str, Any]:
    return {"share": one.share / 1000}
