"""A team's own apps and what hangs on them. Another team's is not found."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from console.accounts.access import Access
from console.accounts.models import Team
from console.cluster.models import Node
from console.common.errors import NotFound
from console.common.prepared import Prepared
from console.workloads.models import App, Container, Operation, Release, Service, Slot

_APPS = App.objects.select_related("team").order_by()
_APP_BY_NAME = Prepared(lambda team, name: _APPS.filter(team=team, name=name, deleting=False))
_APP_BY_ID = Prepared(lambda team, key: _APPS.filter(team=team, pk=key))


def find_app(access: Access, name: str) -> App:
    """The team's app of this name or id. An app that is being deleted is found by its id alone."""
    team = access.team.pk
    app = next(iter(_APP_BY_NAME(team, name) or _APP_BY_ID(team, name)), None)
    if app is None or not access.sees(app.pk):
        raise NotFound(_("There is no such app."))
    return app


def ids_called(name: str, team: Team | None) -> set[str]:
    """The word itself, which may be an id, with the ids of apps (of the team; None: of all) and of nodes of this name:
    by any of them a row of the audit may say what it was done to."""
    apps = App.objects.filter(name=name) if team is None else App.objects.filter(team=team, name=name)
    nodes = Node.objects.filter(name=name)
    return {name, *apps.values_list("pk", flat=True), *nodes.values_list("pk", flat=True)}


def find_release(app: App, number: int) -> Release:
    release = Release.objects.filter(app=app, number=number).select_related("app").first()
    if release is None:
        raise NotFound(_("There is no such release."))
    return release


def find_service(app: App, name: str) -> Service:
    service = Service.objects.filter(app=app, name=name, present=True).select_related("app").first()
    if service is None:
        raise NotFound(_("The app has no such service."))
    return service


def find_slot(app: App, service: str, index: int) -> Slot:
    slots = Slot.objects.filter(service__app=app, retired=False).select_related("service", "explanation")
    slot = slots.filter(service__name=service, index=index).first()
    if slot is None:
        raise NotFound(_("The service has no such slot."))
    return slot


def find_container(access: Access, container_id: str) -> Container:
    container = (
        Container.objects.filter(app__team=access.team, pk=container_id)
        .select_related("app", "slot__service", "node", "release")
        .first()
    )
    if container is None or not access.sees(container.app_id):
        raise NotFound(_("There is no such container."))
    return container


def find_operation(access: Access, operation_id: str) -> Operation:
    operation = Operation.objects.filter(team=access.team, pk=operation_id).first()
    if operation is None or not access.sees(operation.app_id):
        raise NotFound(_("There is no such operation."))
    return operation
