"""Generic resources: what a container is told of its units, and GPUs as the engine's device requests. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from nodeagent.errors import Refused
from nodeagent.protocol import MOST_UNITS, RESOURCE_KIND, Spec, resource_name

GPU = "gpu"
RUNTIME = "nvidia"
PREFIX = "BERTH_RESOURCE_"
VISIBLE = "NVIDIA_VISIBLE_DEVICES"
"""By this variable the NVIDIA runtime is told which GPUs a container sees (NVIDIA Container Toolkit, User Guide)."""
KIND = re.compile(RESOURCE_KIND)


def check_grants(spec: Spec) -> None:
    """Raises `Refused` unless each kind comes once, with units that can be told and shares of a single one."""
    names: set[str] = set()
    for grant in spec.resources:
        if not KIND.fullmatch(grant.kind):
            raise Refused(f"{grant.kind[:40]!r} is not a kind of resource.")
        name = variable_of(grant.kind)
        if name in names:
            raise Refused(f"The resource {grant.kind} is given twice.")
        names.add(name)
        units = grant.units
        if not 0 < len(units) <= MOST_UNITS or len(set(units)) != len(units):
            raise Refused(f"The resource {grant.kind} needs units, each of them once.")
        if not all(0 <= unit < MOST_UNITS for unit in units):
            raise Refused(f"Units of {grant.kind} are numbered from 0 to {MOST_UNITS - 1}.")
        if not 0 <= grant.share < 1000 or (grant.share and len(units) > 1):
            raise Refused(f"A share of {grant.kind} is below 1000 thousandths, of one unit.")


def check_engine(spec: Spec, runtimes: Collection[str]) -> None:
    """Raises `Refused` for a GPU where the engine has no runtime that could give one."""
    if gpus(spec) and RUNTIME not in runtimes:
        raise Refused(
            "This node's engine has no nvidia runtime, so it cannot give a GPU to a container. Install the NVIDIA "
            "Container Toolkit on the node, or take gpu out of the resources in its agent's configuration."
        )


def variable_of(kind: str) -> str:
    return PREFIX + resource_name(kind)


def environment(spec: Spec, default_runtime: str = "") -> dict[str, str]:
    """The variables that tell a container of its units: `BERTH_RESOURCE_GPU=0,1`. They go over the user's own.

    Under a default runtime that obeys `VISIBLE`, a container without a GPU could take all of them by its own
    environment or its image's, so it is told `void`.
    """
    found: dict[str, str] = {}
    for grant in spec.resources:
        found[variable_of(grant.kind)] = _numbers(grant.units)
        if grant.share:
            found[f"{variable_of(grant.kind)}_SHARE"] = f"{grant.share / 1000:g}"
    if units := gpus(spec):
        found[VISIBLE] = _numbers(units)
    elif default_runtime == RUNTIME:
        found[VISIBLE] = "void"
    return found


def gpus(spec: Spec) -> tuple[int, ...]:
    return next((grant.units for grant in spec.resources if grant.kind == GPU), ())


def device_requests(spec: Spec) -> list[dict[str, Any]]:
    """The engine's DeviceRequests (Engine API 1.40 and later): exactly these GPUs, or nothing."""
    units = gpus(spec)
    if not units:
        return []
    return [
        {"Driver": RUNTIME, "DeviceIDs": [str(unit) for unit in units], "Capabilities": [[GPU]]},
    ]


def safe_requests(spec: Spec, value: Any) -> bool:
    """Whether a HostConfig's DeviceRequests ask for the granted GPUs and for nothing else."""
    if not isinstance(value, list) or len(value) != bool(gpus(spec)):
        return False
    return all(isinstance(request, Mapping) and _safe_request(spec, request) for request in value)


def _safe_request(spec: Spec, request: Mapping[str, Any]) -> bool:
    # No Count (-1 is all), no Options, no other driver: each is a way to more than was given.
    return (
        set(request) == {"Driver", "DeviceIDs", "Capabilities"}
        and request["Driver"] == RUNTIME
        and request["Capabilities"] == [[GPU]]
        and request["DeviceIDs"] == [str(unit) for unit in gpus(spec)]
    )


def _numbers(units: tuple[int, ...]) -> str:
    return ",".join(map(str, units))
