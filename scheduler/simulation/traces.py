"""Traces from CSV files; the two formats are told apart by their headers.

- openb (Alibaba's cluster-trace-gpu-v2023). Nodes: `sn,cpu_milli,memory_mib,gpu,model`. Pods, one a line:
  `name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,…`; one GPU of fewer than 1000 `gpu_milli` is a share;
  `gpu_spec` lists the models allowed, separated by `|`.
- our own. Nodes: `name,cpu_milli,memory_mib` and, optional, `zone`, `gpu` and `labels` (`disk=ssd;rack=r1`).
  Services, one a line: `app,service,replicas,cpu_milli,memory_mib` and, optional, `max_per_node`, `num_gpu`,
  `gpu_milli` (both as above), `spread` (keys separated by `;`, the first outweighs the others) and
  `constraints` (`node.labels.disk==ssd;node.zone!=b`).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from scheduler.model import Constraint, Node, NodeState, Request, Resource, Spread, Want
from scheduler.resources import WHOLE

MIB = 1 << 20
GPU = "gpu"
MODEL = "gpu.model"
"""Label of a node with GPUs."""

Row = Mapping[str, str]
Batch = tuple[Want, ...]
T = TypeVar("T")


class TraceError(ValueError):
    """The file is no trace: says which file and line, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A cluster, and what is asked of it, in batches: what arrives together is decided in one call."""

    nodes: tuple[Node, ...]
    batches: tuple[Batch, ...]

    @property
    def wants(self) -> int:
        return sum(len(batch) for batch in self.batches)


def read(nodes: Path, pods: Path) -> Trace:
    """Raises `TraceError` when a file is of neither format, `OSError` when it cannot be read."""
    machines = tuple(_each(nodes, _node))
    models = sorted({node.labels[MODEL] for node in machines if MODEL in node.labels})
    known: dict[Request, Request] = {}

    def batch(row: Row) -> Batch:
        return _service(row) if "replicas" in row else _pod(row, models, known)

    return Trace(machines, tuple(_each(pods, batch)))


def _each(path: Path, parse: Callable[[Row], T]) -> Iterator[T]:
    with path.open(newline="", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file, restval=""), start=2):
            try:
                yield parse(row)
            except KeyError as missing:
                raise TraceError(f"{path}:{line}: there is no column {missing}") from missing
            except ValueError as wrong:
                raise TraceError(f"{path}:{line}: {wrong}") from wrong


def _node(row: Row) -> Node:
    name, gpus = row["sn"] if "sn" in row else row["name"], _number(row, "gpu")
    labels = dict(_pairs(row.get("labels", "")))
    if row.get("model"):
        labels[MODEL] = row["model"]
    return Node(
        id=name,
        name=name,
        state=NodeState.READY,
        cpu=int(row["cpu_milli"]),
        memory=int(row["memory_mib"]) * MIB,
        resources={GPU: gpus} if gpus else {},
        labels=labels,
        zone=row.get("zone", ""),
    )


def _pod(row: Row, models: Sequence[str], known: dict[Request, Request]) -> Batch:
    """A pod is a batch of its own. Equal shapes share one request, as replicas of a service do."""
    resources = _gpus(row)
    allowed = [model for model in row["gpu_spec"].split("|") if model]
    constraints = tuple(
        Constraint(f"node.labels.{MODEL}", equal=False, value=model)
        for model in models
        if allowed and model not in allowed
    )
    amounts = (row["cpu_milli"], row["memory_mib"], row["num_gpu"], row["gpu_milli"], row["gpu_spec"])
    request = Request(
        app="openb",
        service="-".join(amounts),
        cpu=int(row["cpu_milli"]),
        memory=int(row["memory_mib"]) * MIB,
        resources=resources,
        constraints=constraints,
    )
    return (Want(known.setdefault(request, request), row["name"]),)


def _service(row: Row) -> Batch:
    request = Request(
        app=row["app"],
        service=row["service"],
        cpu=int(row["cpu_milli"]),
        memory=int(row["memory_mib"]) * MIB,
        resources=_gpus(row),
        constraints=tuple(_constraint(text) for text in _list(row, "constraints")),
        spread=tuple(Spread(key, 1e-3**rank) for rank, key in enumerate(_list(row, "spread"))),
        max_per_node=_number(row, "max_per_node"),
    )
    slots = range(1, int(row["replicas"]) + 1)
    return tuple(Want(request, f"{row['app']}/{row['service']}.{index}") for index in slots)


def _gpus(row: Row) -> tuple[Resource, ...]:
    units, share = _number(row, "num_gpu"), _number(row, "gpu_milli")
    if units == 1 and 0 < share < WHOLE:
        return (Resource(GPU, share=share),)
    return (Resource(GPU, units=units),) if units else ()


def _constraint(text: str) -> Constraint:
    for sign in ("==", "!="):
        key, found, value = text.partition(sign)
        if found:
            return Constraint(key.strip(), sign == "==", value.strip())
    raise ValueError(f"{text!r} is no constraint: it has neither == nor !=")


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for pair in filter(None, text.split(";")):
        key, found, value = pair.partition("=")
        if not found:
            raise ValueError(f"{pair!r} is no label: it has no =")
        yield key.strip(), value.strip()


def _list(row: Row, column: str) -> list[str]:
    return [part.strip() for part in row.get(column, "").split(";") if part.strip()]


def _number(row: Row, column: str) -> int:
    return int(row.get(column) or 0)
