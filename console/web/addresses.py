"""Addresses of objects whose names may collide with a page's own."""

from __future__ import annotations

from urllib.parse import urlencode

from django.urls import reverse

from console.cluster.models import Node
from console.workloads.models import App, Container, Slot


def app_key(app: App) -> str:
    """How an app is named in a path: by its id where its name is taken by a page, or free again."""
    return app.id if app.deleting or app.name == "new" else app.name


def app_url(app: App, page: str = "app") -> str:
    return reverse(f"web:{page}", args=[app.team.slug, app_key(app)])


def service_url(app: App, service: str, page: str = "service") -> str:
    return reverse(f"web:{page}", args=[app.team.slug, app_key(app), service])


def slot_url(app: App, slot: Slot) -> str:
    return reverse("web:slot", args=[app.team.slug, app_key(app), slot.service.name, slot.index])


def logs_url(app: App, service: str = "", container: str = "", slot: str = "") -> str:
    """The API's stream of log lines."""
    wanted = {"follow": "1", "tail": "200", "service": service, "slot": slot, "container": container}
    query = urlencode({name: value for name, value in wanted.items() if value})
    return f"/api/v1/teams/{app.team.slug}/apps/{app_key(app)}/logs?{query}"


def team_metrics_url(team: str) -> str:
    """The API's numbers over time, as are the next four."""
    return reverse("api:team-metrics", args=[team])


def app_metrics_url(app: App) -> str:
    return reverse("api:app-metrics", args=[app.team.slug, app_key(app)])


def service_metrics_url(app: App, service: str) -> str:
    return reverse("api:service-metrics", args=[app.team.slug, app_key(app), service])


def slot_metrics_url(app: App, slot: Slot) -> str:
    return reverse("api:slot-metrics", args=[app.team.slug, app_key(app), slot.service.name, slot.index])


def node_metrics_url(team: str, node: Node) -> str:
    return reverse("api:node-metrics", args=[team, node.name])


def terminal_url(app: App, container: Container) -> str:
    return reverse("web:terminal", args=[app.team.slug, app_key(app), container.id])


def exec_url(container: Container) -> str:
    """Where the API gives tickets for terminals in this container."""
    return reverse("api:exec", args=[container.app.team.slug, container.id])
