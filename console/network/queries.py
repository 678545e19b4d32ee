"""What pages and the API show of networks."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from console.cluster.models import Node
from console.workloads.models import App


@dataclass(frozen=True, slots=True)
class Reach:
    """A node's part in networks across hosts."""

    wanted: bool
    """The operator chose the overlay; else an app's networks are bridges of each node."""
    reached: bool
    manager: bool
    address: str
    reason: str
    """Why it is not reached, as a verb and more."""


def reach_of(node: Node) -> Reach:
    wanted = settings.NETWORK_DRIVER == "overlay"
    known = node.overlay
    return Reach(
        wanted=wanted,
        reached=wanted and bool(known) and not node.off_overlay,
        manager=bool(known.get("manager")),
        address=str(known.get("address", "")),
        reason=node.off_overlay,
    )


@dataclass(frozen=True, slots=True)
class ShownNetwork:
    """One network of an app's release."""

    name: str
    internal: bool
    across: bool
    """It goes across hosts."""
    services: tuple[str, ...]
    """Who is on it."""


def networks_of(app: App) -> list[ShownNetwork]:
    """Of its newest release, in the order of their names."""
    newest = app.releases.order_by("-number").first()
    found: dict[tuple[str, bool], list[str]] = {}
    for service in newest.project.services.values() if newest else ():
        for one in service.attachments:
            found.setdefault((one.network, one.internal), []).append(service.name)
    across = settings.NETWORK_DRIVER == "overlay"
    return [
        ShownNetwork(name, internal, across, tuple(who)) for (name, internal), who in sorted(found.items())
    ]
