"""Rows for tests, made by the services where there is one; what only a controller writes is written here."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

from django.utils import timezone

from console.accounts.access import Access, team_access
from console.accounts.enums import Role
from console.accounts.models import ApiToken, Membership, Team, User
from console.accounts.tokens import create_token
from console.cluster.enums import NodeState
from console.cluster.models import Node
from console.cluster.services import add_node
from console.workloads.enums import ContainerState, ReleaseState
from console.workloads.models import App, Container, Operation, Release, Service, Slot, Volume
from console.workloads.services import create_app

GIB = 1024**3
COMPOSE = """\
services:
  web:
    image: berth/demo
    ports: ["80"]
    volumes: ["data:/data"]
volumes:
  data:
"""
_numbers = count(1)


def make_user(email: str = "", *, administrator: bool = False) -> User:
    return User.objects.create_user(email or f"user{next(_numbers)}@example.com", is_staff=administrator)


def make_team(slug: str = "") -> Team:
    slug = slug or f"team{next(_numbers)}"
    return Team.objects.create(slug=slug, name=slug.capitalize())


def make_member(
    team: Team, role: Role = Role.OWNER, *, email: str = "", administrator: bool = False
) -> Access:
    """A new user in the team."""
    return join(make_user(email, administrator=administrator), team, role)


def join(user: User, team: Team, role: Role) -> Access:
    Membership.objects.create(user=user, team=team, role=role)
    return team_access(user, team.slug)


def membership_of(access: Access) -> Membership:
    return Membership.objects.select_related("user", "team").get(user=access.user, team=access.team)


def make_token(access: Access, name: str = "test") -> str:
    """The secret of a new API token."""
    return create_token(access, name=name)[1]


def make_node(name: str = "", **observed: Any) -> Node:
    """A node that has said hello: ready, 4 cores and 8 GiB, unless `observed` says otherwise."""
    node = add_node(name=name or f"node{next(_numbers)}", actor="test").node
    seen = {
        "state": NodeState.READY,
        "address": "10.0.0.1",
        "cpu": 4000,
        "memory": 8 * GIB,
        "pids": 32768,
        "port_first": 30000,
        "port_last": 32767,
        "contact_at": timezone.now(),
        **observed,
    }
    Node.objects.filter(pk=node.pk).update(**seen)
    node.refresh_from_db()
    return node


def make_app(access: Access, name: str = "", *, compose: str = COMPOSE, **given: Any) -> App:
    """An app whose first release is still resolving its images."""
    operation = create_app(access, name=name or f"app{next(_numbers)}", compose=compose, **given)
    return App.objects.select_related("team").get(pk=operation.app_id)


def operation_of(app: App) -> Operation:
    """The app's newest operation."""
    return Operation.objects.filter(app_id=app.id).latest("created_at")


def make_ready(release: Release) -> Release:
    """The release with its images resolved, as the controller leaves it."""
    for name, spec in release.project.services.items():
        release.images[name] = {"image": f"{spec.image}@sha256:{'0' * 64}", "local": False}
        release.digests[name] = f"digest-{release.number}"
    release.state = ReleaseState.READY
    release.save()
    return release


def make_slot(app: App, service: str = "web", index: int = 1) -> Slot:
    owner = Service.objects.get(app=app, name=service)
    return Slot.objects.get_or_create(service=owner, index=index)[0]


def make_volume(app: App, node: Node | None = None, name: str = "data", **fields: Any) -> Volume:
    """As a placement leaves it."""
    of_app = {"team": app.team, "app": app, "app_ref": app.id, "app_name": app.name}
    return Volume.objects.create(name=name, node=node, **{**of_app, **fields})


def make_container(app: App, node: Node, service: str = "web", index: int = 1, **fields: Any) -> Container:
    """The next generation of a slot: running for a minute from the newest release, unless `fields` say otherwise."""
    slot, now = make_slot(app, service, index), timezone.now()
    slot.generation += 1
    slot.save(update_fields=["generation"])
    values = {
        "state": ContainerState.RUNNING,
        "image": "berth/demo:latest",
        "cpu": 1000,
        "memory": GIB // 2,
        "cpu_limit": 2000,
        "memory_limit": GIB,
        "pids": 256,
        "ports": [[30000 + slot.generation, 80, "tcp"]],
        "created_at": now - timedelta(minutes=2),
        "started_at": now - timedelta(minutes=1),
        "observed_at": now,
        "engine_id": "e" * 64,
        **fields,
    }
    return Container.objects.create(
        app=app,
        slot=slot,
        release=Release.objects.filter(app=app).latest("number"),
        node=node,
        generation=slot.generation,
        name=f"{app.name}-{service}-{index}",
        digest="digest",
        **values,
    )


def token_named(name: str) -> ApiToken:
    return ApiToken.objects.select_related("user").get(name=name)
