"""The frame that all pages of one app share: its head, its tabs, and where one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext as _

from console.accounts.access import Access
from console.web.addresses import app_url
from console.web.shell import Link, WebRequest, render_page
from console.workloads.enums import ContainerState
from console.workloads.models import App
from console.workloads.queries import volumes_of
from console.workloads.summaries import summary


def render_tab(
    request: WebRequest,
    access: Access,
    app: App,
    page: str,
    context: Mapping[str, Any],
    *,
    template: str = "",
    trail: Sequence[Link] = (),
    status: int = 200,
) -> HttpResponse:
    """The tab `page`, or with `template` and `trail` a page below it."""
    names = (
        ("app", _("Overview"), "layout-dashboard"),
        ("app-releases", _("Releases"), "tag"),
        ("app-logs", _("Logs"), "terminal-2"),
        ("app-metrics", _("Metrics"), "chart-line"),
        ("app-events", _("Events"), "history"),
        ("app-compose", _("Compose"), "file-code"),
        ("app-secrets", _("Secrets"), "lock"),
    )
    access = access.inside(app)
    tabs = [Link(label, app_url(app, name), icon, active=name == page) for name, label, icon in names]
    here = next(tab for tab in tabs if tab.active)
    below = trail or ([] if page == "app" else [Link(here.label)])
    crumbs = [Link(app.name, app_url(app)), *below] if below else [Link(app.name)]
    words = {f"{kind}_word": f"{kind}:{app.id}" for kind in ("app", "operation", "event")}
    values = {
        "app": app,
        "summary": summary(app),
        "volumes": volumes_of(app),
        "pending": ContainerState.PENDING,
        "tabs": tabs,
        **words,
        **context,
    }
    return render_page(
        request,
        access,
        f"web/{template or page.replace('-', '_')}.html",
        values,
        section="apps",
        crumbs=crumbs,
        base="web/app_base.html",
        status=status,
    )
