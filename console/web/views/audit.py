"""The audit of a team, of one of its apps, and of the platform."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from console.accounts.access import Access, require_administrator
from console.common.audit import Wanted, entries
from console.common.models import AuditEntry
from console.web.forms import AuditForm
from console.web.settingstabs import render_settings
from console.web.shell import WebRequest, team_page
from console.workloads.access import find_app, ids_called
from console.workloads.queries import app_names

PAGE = 50


@require_GET
@team_page
def audit(request: WebRequest, access: Access) -> HttpResponse:
    """`?scope=platform` is the whole installation's, for administrators; `?app=` one app's."""
    form = AuditForm(request.GET)
    asked = form.cleaned_data if form.is_valid() else {}
    whole = request.GET.get("scope") == "platform"
    if whole:
        require_administrator(access.user)
    else:
        access.require_owner()
    app = find_app(access, asked["app"]) if asked.get("app") and not whole else None
    before = request.GET.get("before", "")
    found = (
        entries(
            _wanted(access, asked, whole=whole, app=app.pk if app else ""),
            before=int(before) if before.isdecimal() and len(before) < 19 else 0,
            limit=PAGE + 1,
        )
        if asked
        else []
    )
    query = {name: request.GET[name] for name in form.fields if request.GET.get(name)}
    context = {
        "rows": [Row(entry, told(entry.data)) for entry in found[:PAGE]],
        "form": form,
        "whole": whole,
        "app": app,
        "app_names": app_names(access.team),
        "older": f"?{urlencode({**query, 'before': found[PAGE - 1].pk})}" if len(found) > PAGE else "",
        "newer": f"?{urlencode(query)}" if before else "",
    }
    return render_settings(request, access, "audit", context, status=200 if form.is_valid() else 400)


@dataclass(frozen=True, slots=True)
class Row:
    """`details`: by name, what else there is to tell than the sentence."""

    entry: AuditEntry
    details: Mapping[str, str]


def told(data: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a change, each as it was and as it is, and what else the row says."""
    sides = [data[side] for side in ("before", "after") if isinstance(data.get(side), Mapping)]
    if "after" in data and data["after"] is None:
        sides.append({})
    more = {name: value for name, value in data.items() if name not in ("before", "after")}
    found = {name: _text(value) for name, value in more.items() if value not in ("", [], None)}
    for name in [name for side in sides for name in side]:
        found[name] = " → ".join(_text(side.get(name)) for side in sides)
    return found


def _text(value: object) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _wanted(access: Access, asked: Mapping[str, Any], *, whole: bool, app: str) -> Wanted:
    team = None if whole else access.team
    return Wanted(
        team=team.pk if team else "",
        app=app,
        actor=asked["actor"],
        kind=asked["kind"],
        token=asked["token"],
        targets=ids_called(asked["target"], team) if asked["target"] else (),
        since=asked["since"],
        until=asked["until"],
    )
