"""Jobs for nodes as rows: sent, and sent again, until they have ended (`send`)."""

from __future__ import annotations

from typing import Any

import msgspec

from console.cluster.models import Job, Node
from console.controller.context import Step
from nodeagent import protocol


def add(step: Step, node: Node, job: protocol.Job, **fields: str) -> Job:
    """One that is about no container, due now."""
    return Job.objects.create(
        id=job.id,
        node=node,
        kind=kind(job),
        payload=payload(job),
        created_at=step.now,
        ring_at=step.now,
        **fields,
    )


def kind(job: protocol.Job) -> str:
    """As `JobKind` has it."""
    return str(job.__struct_config__.tag)


def payload(job: protocol.Job) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(job)
    return found
