"""`deploy.resources` and the keys beside it that say the same."""

from __future__ import annotations

from collections.abc import Callable

from .cursor import Cursor, value
from .generic import read_generic
from .model import MIB, Policy, Resources
from .own import Own
from .scalars import Scalar
from .values import at_least, integer, millicores, size

_SMALLEST_MEMORY = 6 * MIB
_SMALLEST_CPU = 10
_RESERVED = frozenset({"cpus", "memory", "generic_resources", "devices"})


def either(one: Cursor | None, other: Cursor | None, convert: Callable[[Scalar], int]) -> int | None:
    """The value of two keys that mean the same; an error when they differ."""
    values = [at.parse(convert, 0) for at in (one, other) if at is not None]
    if one is not None and other is not None and values[0] != values[1]:
        one.fail("invalid", f"differs from {other.path}, which means the same")
    return values[0] if values else None


def read_resources(
    fields: dict[str, Cursor], at: Cursor | None, own: Own, policy: Policy, defaults: list[str]
) -> Resources:
    """Of `fields` of the service, `deploy.resources` and `x-berth`; what was filled in goes to `defaults`."""
    tree = at.fields({"limits", "reservations"}) if at else {}
    usual_cpu, usual_memory = policy.sizes[own.size] if own.size else (policy.cpu, policy.memory)
    limits = tree["limits"].fields({"cpus", "memory", "pids"}) if "limits" in tree else {}
    held = tree["reservations"].fields(_RESERVED, unsupported={"pids": ""}) if "reservations" in tree else {}

    def limit(name: str, given: int | None, default: int) -> int:
        # What a size says is no default: it was asked for.
        if given is None and (name == "pids" or not own.size):
            defaults.append(name)
        return default if given is None else given

    cpus = at_least(millicores, _SMALLEST_CPU, "0.01 CPUs")
    memory = at_least(size, _SMALLEST_MEMORY, "6m")
    found = Resources(
        cpu=limit("cpu", either(fields.get("cpus"), limits.get("cpus"), cpus), usual_cpu),
        memory=limit("memory", either(fields.get("mem_limit"), limits.get("memory"), memory), usual_memory),
        pids=limit(
            "pids", either(fields.get("pids_limit"), limits.get("pids"), integer(1, 2**22)), policy.pids
        ),
        cpu_reserved=value(held, "cpus", cpus, 0),
        memory_reserved=either(fields.get("mem_reservation"), held.get("memory"), memory) or 0,
        disk=own.disk,
        generic=read_generic(held, own.fields),
    )
    for reserved, most, name in (
        (found.cpu_reserved, found.cpu, "cpus"),
        (found.memory_reserved, found.memory, "memory"),
    ):
        if reserved > most:
            at = held.get(name) or fields["mem_reservation"]
            at.fail("invalid", f"reserves more than the limit of {name}")
    return found
