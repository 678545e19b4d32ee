"""What the engines say against what was wanted. Pure: neither an agent nor the console is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from chaos.users import BOUND, EXCLUSIVE, KINDS, STATELESS, Wanted
from lab.look import Seen
from lab.runs import Run, doubled


def expected(wanted: Mapping[str, Wanted]) -> dict[str, str]:
    """By the slots' names, the line of the environment that tells the release."""
    return {
        f"{app}/it.{index}": f"MESSAGE=version {one.version}"
        for app, one in wanted.items()
        if one.there
        for index in range(1, (one.replicas if KINDS[app] == STATELESS else 1) + 1)
    }


def amiss(slots: Mapping[str, str], there: Mapping[str, Iterable[Seen]]) -> list[str]:
    """Of all containers that Berth made, by node: slots that are lost, not as wanted, or filled twice; and what is
    there that nobody wants. Empty when the engines have exactly what is wanted."""
    found: dict[str, list[tuple[str, Seen]]] = defaultdict(list)
    for node, containers in there.items():
        for one in containers:
            found[one.name].append((node, one))
    lines = [f"lost: {name} runs nowhere" for name in sorted(slots) if not _running(found[name])]
    for name, ones in sorted(found.items()):
        if name not in slots:
            lines += [f"orphan: {_told(node, one)}" for node, one in ones]
            continue
        running = _running(ones)
        lines += [f"left over: {_told(node, one)}" for node, one in ones if not one.running]
        if len(running) > 1:
            lines.append(f"twice: {'; '.join(_told(node, one) for node, one in running)}")
        lines += [
            f"old: {_told(node, one)} is not {slots[name]}"
            for node, one in running
            if slots[name] not in one.environment
        ]
    return lines


def broken(runs: list[Run]) -> list[str]:
    """What must never have been: an exclusive or a volume-bound slot that ran twice at once, or a bound one's volume
    left behind."""
    guarded = [run for run in runs if KINDS[run.name.partition("/")[0]] in (BOUND, EXCLUSIVE)]
    lines = [f"at once: {one} and {other}" for one, other in doubled(guarded)]
    homes: dict[str, set[str]] = defaultdict(set)
    for run in guarded:
        if KINDS[run.name.partition("/")[0]] == BOUND:
            homes[run.slot].add(run.node)
    return [
        *lines,
        *(
            f"left its volume: slot {slot} ran on {sorted(nodes)}"
            for slot, nodes in homes.items()
            if len(nodes) > 1
        ),
    ]


def _running(found: Iterable[tuple[str, Seen]]) -> list[tuple[str, Seen]]:
    return [(node, one) for node, one in found if one.running]


def _told(node: str, one: Seen) -> str:
    state = "runs" if one.running else "has ended"
    return f"{one.name} {state} on {node} ({one.id[:12]})"
