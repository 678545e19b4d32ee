"""Short ways to make what placement sees."""

from __future__ import annotations

from typing import Any

from scheduler.model import Node, NodeState, Request

GIB = 1 << 30


def node(name: str, state: NodeState = NodeState.READY, **more: Any) -> Node:
    values = {"cpu": 4000, "memory": 4 * GIB, **more}
    return Node(id=name, name=name, state=state, **values)


def request(service: str = "web", app: str = "shop", **more: Any) -> Request:
    values = {"cpu": 100, "memory": GIB // 8, **more}
    return Request(app=app, service=service, **values)
