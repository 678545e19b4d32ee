"""The frame that all pages of a team's settings share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from console.accounts.access import Access
from console.web.shell import Link, WebRequest, render_page


def render_settings(
    request: WebRequest,
    access: Access,
    page: str,
    context: Mapping[str, Any],
    *,
    template: str = "",
    below: Sequence[Link] = (),
    status: int = 200,
) -> HttpResponse:
    """The tab `page`: the name of its address, and of its template. `below`: the trail to a page under the tab."""
    names = [
        ("settings", _("Team"), "adjustments"),
        ("members", _("Members"), "users"),
        ("tokens", _("API tokens"), "key"),
        ("secrets", _("Secrets and quota"), "lock"),
    ]
    if access.role.may_own:
        names.append(("webhooks", _("Webhooks"), "bell"))
        names.append(("audit", _("Audit"), "shield-lock"))
    if access.user.is_staff:
        names.append(("platform", _("Platform"), "world"))
    slug = access.team.slug
    tabs = [
        Link(label, reverse(f"web:{name}", args=[slug]), icon, active=name == page)
        for name, label, icon in names
    ]
    here = next(tab for tab in tabs if tab.active)
    crumbs = [] if page == "settings" else [Link(here.label, here.url if below else ""), *below]
    template = template or f"web/{page}.html"
    values = {"tabs": tabs, **context}
    return render_page(request, access, template, values, section="settings", crumbs=crumbs, status=status)
