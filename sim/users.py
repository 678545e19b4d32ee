"""What users and operators do meanwhile, through the real services."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.db import OperationalError

from console.accounts.access import Access, team_access
from console.accounts.models import Quota, User
from console.cluster.models import Node
from console.cluster.services import add_node, remove_node, set_cordoned, set_draining
from console.common.errors import BerthError
from console.common.prepared import Prepared
from console.workloads import services
from console.workloads.enums import UNDER_WAY, ReleaseState, RolloutState
from console.workloads.models import App, Container, Release, Rollout, Service, Volume
from console.workloads.moves import WantedMove, mark_moves
from console.workloads.rollouts import cancel_rollout, pause_rollout, resume_rollout
from console.workloads.volumes import delete_volume
from sim.faults import Crashed
from sim.shapes import BROKEN, Shape, compose, draw

if TYPE_CHECKING:
    from sim.world import World

MOST_APPS = 3
MOST_NODES = 5
_APPS = Prepared(lambda: App.objects.filter(deleting=False).order_by("id"))
_SERVICES = Prepared(
    lambda app: Service.objects.filter(app=app, present=True).select_related("app").order_by("name")
)
_READY = Prepared(lambda app: Release.objects.filter(app=app, state=ReleaseState.READY).order_by("number"))
_ROLLED_BACK = Prepared(lambda app: Release.objects.filter(app=app).exclude(rolled_back_from=None)[:1])
_VOLUMES = Prepared(lambda: Volume.objects.order_by("created_at", "id"))
_UNDER_WAY = Prepared(
    lambda: Rollout.objects.filter(state__in=UNDER_WAY).select_related("app").order_by("id")[:1]
)
_LAST_ROLLOUT = Prepared(
    lambda app: Rollout.objects.filter(app=app).order_by("-started_at", "-release__number")[:1]
)
_RUNNING = Prepared(lambda: Container.objects.filter(state="running").order_by("id"))
_FATAL = Prepared(lambda app: Container.objects.filter(app=app, fatal=True)[:1])
_NODES = Prepared(lambda: Node.objects.order_by("name"))
_CORDONED = Prepared(lambda: Node.objects.filter(cordoned=True).order_by("name"))
_DRAINING = Prepared(lambda: Node.objects.filter(draining=True).order_by("name"))


class Users:
    def __init__(self, world: World) -> None:
        self._world = world
        self._random = world.random
        self._made = 0
        self._nodes = 0
        self.files: dict[str, list[Shape]] = {}
        """By app: the services of its newest file."""
        self.access: Access = team_access(User.objects.get(), "default")
        Quota.objects.create(team=self.access.team, priority=10)

    def act(self) -> None:
        """One thing that somebody does. What the console refuses is no fault."""
        actions = [
            self.deploy, self.release, self.release, self.break_release, self.scale, self.scale, self.stop_or_start,
            self.restart, self.roll_back, self.delete, self.cordon, self.cordon, self.join, self.remove,
            self.drain, self.drain, self.pause_or_resume, self.cancel, self.move, self.delete_volume,
        ]  # fmt: skip
        self.attempt(self._random.choice(actions))

    def attempt(self, action: Callable[[], object]) -> None:
        try:
            with self._world.points.watching():
                action()
        except BerthError as error:
            self._world.note(f"refused: {error.message}")
        except OperationalError:
            self._world.note("the request fails with its database")
        except Crashed:
            self._world.note("the web process crashes in the middle of a request")
        self._world.checks.look()

    # -- apps

    def _app(self) -> App | None:
        apps = _APPS()
        return self._random.choice(apps) if apps else None

    def _service(self, app: App) -> Service | None:
        rows = _SERVICES(app.id)
        return self._random.choice(rows) if rows else None

    def deploy(self) -> None:
        if App.objects.filter(deleting=False).count() >= MOST_APPS:
            return
        self._made += 1
        name, shapes = f"app{self._made}", draw(self._random)
        self._say(f"deploys {name}: {', '.join(f'{one.kind}×{one.replicas}' for one in shapes)}")
        operation = services.create_app(self.access, name=name, compose=compose(shapes))
        self.files[operation.app_id] = shapes

    def release(self) -> None:
        if app := self._app():
            self._release(app, [shape.mended() for shape in self.files[app.id]])

    def _release(self, app: App, shapes: list[Shape]) -> None:
        self._say(f"releases {app.name}: {', '.join(f'{one.kind} {one.program}' for one in shapes)}")
        services.create_release(self.access, app, compose=compose(shapes))
        self.files[app.id] = shapes

    def break_release(self) -> None:
        if app := self._app():
            shapes = self.files[app.id]
            if any(shape.command for shape in shapes) and self._random.random() < 0.5:
                self._release(app, [shape.with_bad_command() for shape in shapes])
                return
            program = self._random.choice(BROKEN)
            self._release(app, [shape.next(program) for shape in shapes])

    def scale(self) -> None:
        if (app := self._app()) and (service := self._service(app)):
            replicas = self._random.randrange(0, 2 if service.name in ("bound", "big") else 5)
            self._say(f"scales {app.name}/{service.name} to {replicas}")
            services.scale(self.access, service, replicas=replicas)

    def stop_or_start(self) -> None:
        if app := self._app():
            service = self._service(app) if self._random.random() < 0.4 else None
            stopped = not (service.stopped if service else app.stopped)
            name = service.name if service else "all"
            self._say(f"{'stops' if stopped else 'starts'} {app.name}/{name}")
            services.set_stopped(self.access, app, service, stopped=stopped)

    def restart(self) -> None:
        if app := self._app():
            self._say(f"restarts {app.name}")
            services.restart(self.access, app)

    def roll_back(self) -> None:
        if app := self._app():
            ready = _READY(app.id)
            if ready:
                release = self._random.choice(ready)
                self._say(f"rolls {app.name} back to #{release.number}")
                services.roll_back(self.access, app, to=release)

    def delete(self) -> None:
        app = self._app()
        if app and self._random.random() < 0.5:
            volumes = self._random.random() < 0.5
            self._say(f"deletes {app.name}{' and its volumes' if volumes else ''}")
            services.delete_app(self.access, app, delete_volumes=volumes)

    def delete_volume(self) -> None:
        """Of an app, or kept when its app was deleted."""
        volumes = _VOLUMES()
        if volumes:
            volume = self._random.choice(volumes)
            self._say(f"deletes volume {volume.app_name}/{volume.name}")
            delete_volume(self.access, volume)

    def pause_or_resume(self) -> None:
        rollout = _UNDER_WAY.first()
        if rollout is None:
            return
        paused = rollout.state == RolloutState.PAUSED
        self._say(f"{'resumes' if paused else 'pauses'} the rollout of {rollout.app.name}")
        (resume_rollout if paused else pause_rollout)(self.access, rollout.app)

    def cancel(self) -> None:
        if rollout := _UNDER_WAY.first():
            self._say(f"cancels the rollout of {rollout.app.name}")
            cancel_rollout(self.access, rollout.app)

    def move(self) -> None:
        """As a rebalance would have it."""
        running = _RUNNING()
        if running and (node := self._node()):
            container = self._random.choice(running)
            self._say(f"moves {container.name} to {node.name}")
            mark_moves(self.access, [WantedMove(container.id, container.node_id, node.id)])

    # -- nodes

    def _node(self) -> Node | None:
        nodes = _NODES()
        return self._random.choice(nodes) if nodes else None

    def join(self) -> None:
        if len(self._world.hosts) < MOST_NODES:
            self._nodes += 1
            name = f"node-{self._nodes}"
            labels = {"disk": "ssd"} if self._random.random() < 0.6 else {}
            self._say(f"adds {name}")
            node = add_node(name=name, actor="sim", zone=self._random.choice("ab"), labels=labels).node
            self._world.add_host(node.id, name, labels)

    def cordon(self) -> None:
        if node := self._node():
            self._say(f"{'uncordons' if node.cordoned else 'cordons'} {node.name}")
            set_cordoned(self.access, node, cordoned=not node.cordoned)

    def drain(self) -> None:
        if node := self._node():
            self._say(f"{'ends the drain of' if node.draining else 'drains'} {node.name}")
            set_draining(self.access, node, draining=not node.draining)

    def remove(self) -> None:
        node = self._node()
        if node and len(self._world.hosts) > 2:
            self._say(f"removes {node.name}")
            remove_node(self.access, node)
            self._world.remove_host(node.id)

    # -- the end

    def settle(self) -> None:
        """No more faults: nodes take containers again, what was released broken is mended."""
        for node in _CORDONED():
            set_cordoned(self.access, node, cordoned=False)
        for node in _DRAINING():
            set_draining(self.access, node, draining=False)
        for app in _APPS():
            if self._troubled(app):
                self._release(app, [shape.mended() for shape in self.files[app.id]])

    def _troubled(self, app: App) -> bool:
        """It needs a person: its release cannot run, its rollout failed, or a container is given up for good."""
        last = _LAST_ROLLOUT.first(app.id)
        ended = last is not None and last.state != RolloutState.SUCCEEDED
        broken = any(shape.broken for shape in self.files[app.id])
        return broken or ended or bool(_ROLLED_BACK(app.id)) or bool(_FATAL(app.id))

    def _say(self, text: str) -> None:
        self._world.note(f"a user {text}")
