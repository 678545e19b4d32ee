"""One line of the benchmark, and the aim it is held against."""

from __future__ import annotations

import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import ge, le

import numpy as np

Value = float | int | str | bool | None
Line = dict[str, Value]

_COMPARE = {">=": ge, "<=": le}


@dataclass(frozen=True, slots=True)
class Aim:
    """`value` of this field is at least or at most so much."""

    field: str
    sign: str
    value: float

    def __str__(self) -> str:
        return f"{self.field} {self.sign} {self.value:g}"

    def met(self, line: Mapping[str, Value]) -> bool:
        value = line[self.field]
        return isinstance(value, float | int) and bool(_COMPARE[self.sign](value, self.value))


def line(
    case: str,
    *,
    nodes: int,
    running: int,
    batch: int,
    policy: str,
    seconds: Sequence[float],
    **more: Value,
) -> Line:
    """`seconds`: what each call took that placed `batch` wants. Times are of this process's CPU: what else
    runs on the machine does not count."""
    each = np.array(seconds) / max(batch, 1)
    return {
        "case": case,
        "nodes": nodes,
        "running": running,
        "batch": batch,
        "policy": policy,
        "placements_per_s": round(len(seconds) * batch / max(sum(seconds), 1e-9)),
        "p50_us": round(1e6 * float(np.percentile(each, 50)), 1),
        "p99_us": round(1e6 * float(np.percentile(each, 99)), 1),
        "peak_mib": peak_mib(),
        **more,
    }


def judged(line: Line, *aims: Aim) -> Line:
    """The line, its aims as text, and whether all of them are met."""
    if not aims:
        return line
    return {**line, "aim": ", ".join(map(str, aims)), "ok": all(aim.met(line) for aim in aims)}


def peak_mib() -> int:
    """The most memory that this process ever had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def timed(clock: Callable[[], float], call: Callable[[], object]) -> float:
    before = clock()
    call()
    return clock() - before
