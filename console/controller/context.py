"""What one step gathers while it works: the time, what became dirty, and what to say after the commit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from console.cluster.enums import HoldState
from console.cluster.models import Hold, Node
from console.common import events
from console.controller.agenda import Agenda
from console.controller.history import History, Line
from console.controller.live import Live
from console.controller.requests import Releases
from console.controller.wishes import Wishes
from console.workloads.models import App, Container
from nodeagent import protocol


@dataclass(slots=True)
class Step:
    now: datetime
    live: Live
    agenda: Agenda
    wishes: Wishes
    dirty: set[str] = field(default_factory=set)
    """Apps to reconcile in this step, or to note for a later one."""
    freed: bool = False
    """A node has more room than before: pending slots are worth another look."""
    ask: set[str] = field(default_factory=set)
    """Nodes to ask for their full set after the commit."""
    nodes: dict[str, Node] = field(default_factory=dict)
    frozen: bool = False
    """Nothing is replaced for lack of contact."""
    holds: dict[str, Hold] = field(default_factory=dict)
    """By node, whose assignment waits for a person."""
    wakes: dict[str, datetime | None] = field(default_factory=dict)
    """By app: when to look at it again though nothing changed; None: not by itself."""
    messages: dict[str, protocol.Job] = field(default_factory=dict)
    """Jobs made in this step, by id: they need not be read back to be sent."""
    history: History = field(init=False)
    announced: set[tuple[str, str, str]] = field(default_factory=set)
    """Team, kind and id of what changed: its browsers are told after the commit."""
    more: bool = False
    """There is work left for the next step."""
    cluster_id: str = ""
    overlay_manager: str = ""
    """Node that is asked to make networks across hosts; empty while none can."""
    overlay_swarm: str = ""
    """Of which swarm it is."""
    image_names: Mapping[str, Collection[tuple[str, str]]] | None = None
    """By content: the teams whose releases have the image, and its names there. Read once, if it is asked for."""
    logins: dict[tuple[str, str], str] = field(default_factory=dict)
    """By team and image: id of the registry credential, or nothing. Looked up once."""

    def __post_init__(self) -> None:
        self.history = History(self.now, events.CONTROLLER)

    @property
    def releases(self) -> Releases:
        return self.live.releases

    @property
    def held_slots(self) -> set[str]:
        """Nothing is decided about them until their nodes have had their assignment."""
        return {slot for hold in self.holds.values() if hold.state != HoldState.CHECK for slot in hold.slots}

    @property
    def time(self) -> float:
        return self.now.timestamp()

    def wake_by(self, app: str, at: datetime | None) -> None:
        """Look at the app again by then, should nothing call for it earlier."""
        if at is not None:
            self.wakes[app] = min(self.wakes.get(app) or at, at)

    @contextmanager
    def part(self) -> Iterator[None]:
        """A savepoint: all of what is done in it, in the database and in memory, or nothing. Parts do not nest."""
        self.flush()
        self.live.begin()
        try:
            with transaction.atomic():
                yield
                self.flush()
        except BaseException:
            self.history.clear()
            self.live.undo()
            raise
        self.live.begin()

    def flush(self) -> None:
        """Write the events that were gathered."""
        for team, object_id in self.history.write():
            self.announced.add((team, "event", object_id))

    def announce(self, team: str, kind: str, object_id: str) -> None:
        self.announced.add((team, kind, object_id))

    def close(self) -> None:
        """The last of the step's transaction: its events are written, and browsers told after the commit."""
        self.flush()
        for team, kind, object_id in sorted(self.announced):
            events.announce(team, kind, object_id)

    # -- history

    def tell_app(
        self,
        app: App,
        message: str,
        *,
        kind: str = "app",
        warning: bool = False,
        many: str = "",
        where: str = "",
    ) -> None:
        """A line of the app's history, of the controller's doing."""
        self.history.add(
            Line(
                kind,
                message,
                events.CONTROLLER,
                team=app.team_id,
                app=app.id,
                warning=warning,
                many=many,
                where=where,
            )
        )

    def tell_container(
        self, container: Container, message: str, *, warning: bool = False, many: str = ""
    ) -> None:
        """A line of its app's history, observed by its node."""
        node = self.nodes[container.node_id]
        self.history.add(
            Line(
                "container",
                message,
                f"node {node.name}",
                team=container.app.team_id,
                app=container.app_id,
                warning=warning,
                data={"container": container.id},
                many=many,
                where=node.id,
            )
        )

    def tell_node(
        self,
        node: Node,
        kind: str,
        message: str,
        *,
        warning: bool = False,
        app: App | None = None,
        actor: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """A line of the node's history, and of the app's that is concerned."""
        self.history.add(
            Line(
                kind,
                message,
                actor or events.CONTROLLER,
                team=app.team_id if app else "",
                app=app.id if app else "",
                node=node.id,
                warning=warning,
                data=data or {},
            )
        )
