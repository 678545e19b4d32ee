"""`deploy` and the keys beside it that say the same: limits, replicas, placement, restarts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .cursor import Cursor, value
from .keys import DEPLOY, DEPLOY_UNSUPPORTED
from .model import MIB, Constraint, Placement, Policy, Resources, Restart
from .problems import clip
from .scalars import Scalar
from .values import integer, millicores, size, text

_SMALLEST_MEMORY = 6 * MIB
_SMALLEST_CPU = 10
_KEY = r"node\.id|node\.hostname|node\.platform\.(?:os|arch)|node\.labels\.[A-Za-z0-9][A-Za-z0-9_./-]*"
_CONSTRAINT = re.compile(rf"({_KEY})\s*(==|!=)\s*(\S(?:.*\S)?)")
_SPREAD = re.compile(r"node\.labels\.[A-Za-z0-9][A-Za-z0-9_./-]*")
_RESTART = re.compile(r"on-failure(?::([0-9]{1,6}))?")


@dataclass(slots=True)
class Deployment:
    """What the readers below found out about one service."""

    resources: Resources
    replicas: int
    placement: Placement
    restart: Restart
    defaults: list[str]


def read_deployment(fields: dict[str, Cursor], policy: Policy) -> Deployment:
    deploy = _below(fields, "deploy", DEPLOY, unsupported=DEPLOY_UNSUPPORTED)
    if "mode" in deploy and (mode := value(deploy, "mode", text, "replicated")) != "replicated":
        deploy["mode"].fail("unsupported", f"mode {clip(mode)} is not supported yet: use replicated")
    defaults: list[str] = []
    count = integer(0, policy.max_replicas)
    replicas = _either(fields.get("scale"), deploy.get("replicas"), count)
    return Deployment(
        resources=_resources(fields, deploy, policy, defaults),
        replicas=1 if replicas is None else replicas,
        placement=_placement(deploy),
        restart=_restart(fields, deploy, defaults),
        defaults=defaults,
    )


def _below(
    fields: dict[str, Cursor], key: str, known: frozenset[str], *, unsupported: dict[str, str] | None = None
) -> dict[str, Cursor]:
    return fields[key].fields(known, unsupported=unsupported or {}) if key in fields else {}


def _either(one: Cursor | None, other: Cursor | None, convert: Callable[[Scalar], int]) -> int | None:
    """The value of two keys that mean the same; an error when they differ."""
    values = [at.parse(convert, 0) for at in (one, other) if at is not None]
    if one is not None and other is not None and values[0] != values[1]:
        one.fail("invalid", f"differs from {other.path}, which means the same")
    return values[0] if values else None


def _resources(
    fields: dict[str, Cursor], deploy: dict[str, Cursor], policy: Policy, defaults: list[str]
) -> Resources:
    tree = _below(deploy, "resources", frozenset({"limits", "reservations"}))
    limits = _below(tree, "limits", frozenset({"cpus", "memory", "pids"}))
    held: dict[str, Cursor] = {}
    if "reservations" in tree:
        held = tree["reservations"].fields(
            {"cpus", "memory"},
            unsupported={"generic_resources": "", "pids": ""},
            refused={"devices": "it gives a container rights on its host"},
        )

    def limit(name: str, given: int | None, default: int) -> int:
        if given is None:
            defaults.append(name)
        return default if given is None else given

    cpus = integer_or(millicores, _SMALLEST_CPU, "0.01 CPUs")
    memory = integer_or(size, _SMALLEST_MEMORY, "6m")
    found = Resources(
        cpu=limit("cpu", _either(fields.get("cpus"), limits.get("cpus"), cpus), policy.cpu),
        memory=limit("memory", _either(fields.get("mem_limit"), limits.get("memory"), memory), policy.memory),
        pids=limit(
            "pids", _either(fields.get("pids_limit"), limits.get("pids"), integer(1, 2**22)), policy.pids
        ),
        cpu_reserved=value(held, "cpus", cpus, 0),
        memory_reserved=_either(fields.get("mem_reservation"), held.get("memory"), memory) or 0,
    )
    for reserved, most, name in (
        (found.cpu_reserved, found.cpu, "cpus"),
        (found.memory_reserved, found.memory, "memory"),
    ):
        if reserved > most:
            at = held.get(name) or fields["mem_reservation"]
            at.fail("invalid", f"reserves more than the limit of {name}")
    return found


def integer_or(convert: Callable[[Scalar], int], least: int, shown: str) -> Callable[[Scalar], int]:
    """`convert`, and at least `least`: a limit of nothing would be no limit."""

    def read(given: Scalar) -> int:
        found = convert(given)
        if found < least:
            raise ValueError(f"must be at least {shown}")
        return found

    return read


def _placement(deploy: dict[str, Cursor]) -> Placement:
    fields = _below(deploy, "placement", frozenset({"constraints", "preferences", "max_replicas_per_node"}))
    constraints = [
        _constraint(item) for item in (fields["constraints"].items() if "constraints" in fields else [])
    ]
    spread: list[str] = []
    for item in fields["preferences"].items() if "preferences" in fields else []:
        over = value(item.fields({"spread"}), "spread", text, "")
        if _SPREAD.fullmatch(over):
            spread.append(over)
        else:
            item.fail("invalid", f"spread must name a label such as node.labels.zone, not {clip(over)}")
    return Placement(
        constraints=tuple(constraint for constraint in constraints if constraint is not None),
        spread=tuple(spread),
        max_per_node=value(fields, "max_replicas_per_node", integer(0, 10_000), 0),
    )


def _constraint(item: Cursor) -> Constraint | None:
    written = item.parse(text, "")
    match = _CONSTRAINT.fullmatch(written.strip()) if len(written) <= 500 else None
    if match is not None:
        return Constraint(key=match[1], equal=match[2] == "==", value=match[3])
    if written.strip().startswith(("node.role", "engine.labels")):
        item.fail(
            "unsupported", f"{clip(written)} is not supported yet: use node.labels, node.hostname or node.id"
        )
    else:
        item.fail("invalid", f"{clip(written)} is not a constraint such as node.labels.disk == ssd")
    return None


def _restart(fields: dict[str, Cursor], deploy: dict[str, Cursor], defaults: list[str]) -> Restart:
    """`deploy.restart_policy` goes before `restart`, as in Compose."""
    written = fields["restart"].parse(_restart_word, Restart()) if "restart" in fields else None
    if "restart_policy" in deploy:
        policy = _policy(deploy["restart_policy"])
        if written is not None and written != policy:
            fields["restart"].warn("note", f"has no effect: {deploy['restart_policy'].path} says otherwise")
        return policy
    if written is None:
        defaults.append("restart")
    return written or Restart()


def _restart_word(given: Scalar) -> Restart:
    word = text(given)
    if word in ("always", "unless-stopped"):
        return Restart()
    if word == "no":
        return Restart(condition="no")
    if match := _RESTART.fullmatch(word):
        return Restart(condition="on-failure", max_attempts=int(match[1] or 0))
    raise ValueError(f"{clip(word)} is none of no, always, unless-stopped, on-failure and on-failure:3")


def _policy(at: Cursor) -> Restart:
    reason = "Berth's own back-off decides"
    fields = at.fields({"condition", "max_attempts"}, unsupported={"delay": reason, "window": reason})
    condition = value(fields, "condition", text, "any")
    attempts = value(fields, "max_attempts", integer(0, 999_999), 0)
    if attempts and condition != "on-failure":
        fields["max_attempts"].fail("unsupported", "max_attempts goes with condition: on-failure only")
    match condition:
        case "any":
            return Restart()
        case "none":
            return Restart(condition="no")
        case "on-failure":
            return Restart(condition="on-failure", max_attempts=attempts)
    fields["condition"].fail("invalid", f"{clip(condition)} is none of none, on-failure and any")
    return Restart()
