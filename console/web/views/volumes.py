"""A team's volumes: on which node, how large, who uses them; and the way to delete one."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from console.accounts.access import Access
from console.accounts.enums import Verb
from console.common.errors import BerthError
from console.web.shell import Link, WebRequest, render_page, team_page
from console.workloads import volumes


@require_GET
@team_page
def volume_list(request: WebRequest, access: Access) -> HttpResponse:
    context = {"volumes": volumes.volumes_of(access)}
    return render_page(request, access, "web/volumes.html", context, section="volumes")


@require_GET
@team_page
def volume(request: WebRequest, access: Access, volume: str) -> HttpResponse:
    found = volumes.find_volume(access, volume)
    context = {
        "detail": found,
        "volume": found.volume,
        "may_delete": access.may(Verb.WRITE, found.volume.app),
        "volume_word": f"volume:{found.volume.id}",
    }
    trail = [Link(str(found.volume))]
    return render_page(request, access, "web/volume.html", context, section="volumes", crumbs=trail)


@require_POST
@team_page
def delete(request: WebRequest, access: Access, volume: str) -> HttpResponse:
    """The volume's name is typed to confirm it."""
    found = volumes.find_volume(access, volume).volume
    if request.POST.get("confirm") != found.name:
        raise BerthError(_("Type the volume's name to confirm that its data is to be deleted."))
    volumes.delete_volume(access, found, forget=request.POST.get("forget") == "1")
    messages.success(request, _("%(name)s is being deleted.") % {"name": found.name})
    return redirect("web:volumes", access.team.slug)
