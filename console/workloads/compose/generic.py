"""Generic resources in all their spellings: `generic_resources`, `devices`, `x-berth.gpu`, `x-berth.resources`."""

from __future__ import annotations

from collections.abc import Iterator

from nodeagent.protocol import MOST_UNITS, RESOURCE_KIND, resource_name

from .cursor import Cursor, value
from .model import GenericResource
from .scalars import Scalar, as_text
from .values import integer, matching, number, one_of, text

GPU = "gpu"
_CHOOSES = "the scheduler chooses which ones, so that no two containers get the same"
_KIND = matching(RESOURCE_KIND, "a kind of resource such as gpu")
_units = integer(1, MOST_UNITS)

Found = tuple[Cursor, GenericResource]


def read_generic(reserved: dict[str, Cursor], own: dict[str, Cursor]) -> tuple[GenericResource, ...]:
    """All that a service asks for, by kind. `reserved` is `deploy.resources.reservations`, `own` is `x-berth`."""
    found: dict[str, GenericResource] = {}
    for at, one in _all(reserved, own):
        name = resource_name(one.kind)
        if name in found:
            at.fail("invalid", f"{one.kind} is asked for twice")
        found[name] = one
    return tuple(sorted(found.values(), key=lambda one: one.kind))


def _all(reserved: dict[str, Cursor], own: dict[str, Cursor]) -> Iterator[Found]:
    for item in reserved["generic_resources"].items() if "generic_resources" in reserved else []:
        yield from _discrete(item)
    for item in reserved["devices"].items() if "devices" in reserved else []:
        yield from _device(item)
    if GPU in own:
        yield from _own(own[GPU], GPU)
    for entry in own["resources"].entries() if "resources" in own else []:
        try:
            yield from _own(entry, _KIND(str(entry.key)))
        except ValueError as error:
            entry.fail_key("invalid", str(error))


def _discrete(item: Cursor) -> Iterator[Found]:
    fields = item.fields({"discrete_resource_spec"})
    if "discrete_resource_spec" not in fields:
        item.fail("missing", "a generic resource needs a discrete_resource_spec")
        return
    at = fields["discrete_resource_spec"]
    inner = at.fields({"kind", "value"})
    if len(inner) < 2:
        at.fail("missing", "a discrete_resource_spec needs kind and value")
        return
    kind, units = inner["kind"].parse(_KIND, ""), inner["value"].parse(_units, 0)
    if kind and units:
        yield item, GenericResource(kind=kind, units=units)


def _device(item: Cursor) -> Iterator[Found]:
    """Only GPUs, and only by their number: any other device would be a right on the host."""
    fields = item.fields({"capabilities", "count", "driver", "device_ids"}, unsupported={"options": ""})
    at = fields.get("capabilities", item)
    if [one.parse(text, "") for one in (at.items() if at is not item else [])] != [GPU]:
        at.fail("refused", "a container gets no device of its host but GPUs: capabilities must be [gpu]")
        return
    value(fields, "driver", one_of("nvidia"), "nvidia")
    if "device_ids" in fields:
        fields["device_ids"].fail_key("refused", f"device_ids is not allowed: {_CHOOSES}; give a count")
        return
    if "count" not in fields:
        item.fail("missing", "a device needs a count: without one Compose means all, and that is no number")
        return
    if units := fields["count"].parse(_count, 0):
        yield item, GenericResource(kind=GPU, units=units)


def _count(given: Scalar) -> int:
    if as_text(given) in ("all", "-1"):
        raise ValueError("must be a number: how many all are differs from node to node")
    return _units(given)


def _own(at: Cursor, kind: str) -> Iterator[Found]:
    """`2`, `{units: 2}` or `{share: 0.5}`."""
    if not at.is_map:
        units, share = at.parse(_units, 0), 0
    else:
        fields = at.fields({"units", "share"})
        if len(fields) != 1:
            at.fail("invalid", "needs one of units and share")
            return
        units = value(fields, "units", _units, 0)
        share = round(value(fields, "share", number(0.001, 0.999), 0.0) * 1000)
    if units or share:
        yield at, GenericResource(kind=kind, units=units, share=share)
