"""Every component on one page, in both themes, for whoever works on Berth."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from console.cluster.enums import NodeState
from console.web.forms import TokenForm
from console.workloads.enums import AppState, ContainerState, Health


@require_GET
@login_required
def components(request: HttpRequest) -> HttpResponse:
    """For administrators, and for everyone signed in while debugging."""
    if not (settings.DEBUG or getattr(request.user, "is_staff", False)):
        raise Http404
    wrong = TokenForm({"name": "", "days": "90"}, auto_id="wrong_%s")
    wrong.is_valid()
    statuses = [list(AppState), list(ContainerState), list(Health), list(NodeState)]
    context = {"statuses": statuses, "form": TokenForm(), "wrong": wrong, "now": timezone.now()}
    return render(request, "web/components.html", context)
