"""Scale, restart, stop and start: of one service, or of a whole app."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.inputs import NoInput, checked
from console.api.inputs.apps import ScaleInput
from console.api.views.base import ACCEPTED, AppView, accepted
from console.workloads import services
from console.workloads.access import find_service
from console.workloads.models import App, Operation, Service


class Scale(AppView):
    @extend_schema(operation_id="scale_service", request=ScaleInput, responses={202: ACCEPTED})
    def post(self, request: Request, team: str, app: str, service: str) -> Response:
        """How many replicas the service has. No release is made."""
        given = checked(ScaleInput, request.data)
        return accepted(self.access, services.scale(self.access, find_service(self.app, service), **given))


class _Steer(AppView):
    """POST without input, to an app or to one of its services."""

    def act(self, app: App, service: Service | None) -> Operation:
        raise NotImplementedError

    def answer(self) -> Response:
        checked(NoInput, self.request.data)
        app, name = self.app, self.kwargs.get("service")
        return accepted(self.access, self.act(app, find_service(app, name) if name else None))


class _Restart(_Steer):
    def act(self, app: App, service: Service | None) -> Operation:
        return services.restart(self.access, app, service)


class _Stop(_Steer):
    def act(self, app: App, service: Service | None) -> Operation:
        return services.set_stopped(self.access, app, service, stopped=True)


class _Start(_Steer):
    def act(self, app: App, service: Service | None) -> Operation:
        return services.set_stopped(self.access, app, service, stopped=False)


class RestartApp(_Restart):
    @extend_schema(operation_id="restart_app", request=None, responses={202: ACCEPTED})
    def post(self, request: Request, team: str, app: str) -> Response:
        """Replace the app's running containers one by one."""
        return self.answer()


class StopApp(_Stop):
    @extend_schema(operation_id="stop_app", request=None, responses={202: ACCEPTED})
    def post(self, request: Request, team: str, app: str) -> Response:
        """Stop all of the app. Nothing is forgotten."""
        return self.answer()


class StartApp(_Start):
    @extend_schema(operation_id="start_app", request=None, responses={202: ACCEPTED})
    def post(self, request: Request, team: str, app: str) -> Response:
        """Start the app; services that were stopped by themselves stay stopped."""
        return self.answer()


class RestartService(_Restart):
    @extend_schema(operation_id="restart_service", request=None, responses={202: ACCEPTED})
    def post(self, request: Request, team: str, app: str, service: str) -> Response:
        """Replace the service's running containers one by one."""
        return self.answer()


class StopService(_Stop):
    @extend_schema(operation_id="stop_service", request=None, responses={202: ACCEPTED})
    def post(self, request: Request, team: str, app: str, service: str) -> Response:
        """Stop the service; its scale is remembered."""
        return self.answer()


class StartService(_Start):
    @extend_schema(operation_id="start_service", request=None, responses={202: ACCEPTED})
    def post(self, request: Request, team: str, app: str, service: str) -> Response:
        """Start the service with its remembered scale."""
        return self.answer()
