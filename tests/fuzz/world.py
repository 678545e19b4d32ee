"""What the fuzzer finds in the database, and finds again whatever it has deleted meanwhile."""

from __future__ import annotations

from typing import Any

from console.accounts.access import team_access
from console.accounts.models import ApiToken, Membership, Team, User
from console.accounts.services import create_first_owner
from console.cluster.models import Node
from console.workloads.models import App, Container, Operation
from tests import factories

APPS, NODES, SERVICES = ("shop", "blog", "api"), ("n1", "n2", "n3"), ("web", "db")
COMPOSE = """\
services:
  web:
    image: berth/demo
    ports: ["80"]
  db:
    image: berth/demo
    volumes: ["data:/data"]
volumes:
  data:
"""


class World:
    """A team of one owner, who is the platform's administrator, with apps that ran and nodes that hold them."""

    def __init__(self) -> None:
        self.user, self.team = create_first_owner(email="owner@example.com")
        self.secret = factories.make_token(team_access(self.user, self.team.slug), "fuzz")
        self.token = ApiToken.objects.get(name="fuzz")
        self.user_row = dict(User.objects.filter(pk=self.user.pk).values()[0])
        self.restore()

    def restore(self) -> None:
        """As at the beginning, as far as names, rights and the token go."""
        User.objects.filter(pk=self.user.pk).update(**self.user_row)
        Team.objects.filter(pk=self.team.pk).update(slug=self.team.slug)
        Membership.objects.update_or_create(user=self.user, team=self.team, defaults={"role": "owner"})
        self.token.save()
        for name in NODES:
            if not Node.objects.filter(name=name).exists():
                factories.make_node(name)
        access = team_access(self.user, self.team.slug)
        for name in APPS:
            if not App.objects.filter(team=self.team, name=name, deleting=False).exists():
                self._make(access, name)

    def _make(self, access: Any, name: str) -> None:
        app = factories.make_app(access, name, compose=COMPOSE)
        factories.make_ready(app.releases.get())
        for number, service in enumerate(SERVICES):
            node = Node.objects.get(name=NODES[number])
            factories.make_container(app, node, service)

    def names(self) -> dict[str, list[str]]:
        """What each name in a path may stand for."""
        of_team = {"app__team": self.team}
        return {
            "team": [self.team.slug],
            "app": list(APPS),
            "service": list(SERVICES),
            "node": list(NODES),
            "container": _newest(Container.objects.filter(**of_team)),
            "operation": _newest(Operation.objects.filter(team=self.team)),
            "token": _newest(ApiToken.objects.exclude(pk=self.token.pk)) or ["none"],
            "member": _newest(Membership.objects.filter(team=self.team)),
        }


def _newest(rows: Any) -> list[str]:
    order = "-created_at" if any(field.name == "created_at" for field in rows.model._meta.fields) else "-pk"
    return [str(key) for key in rows.order_by(order).values_list("pk", flat=True)[:5]]
