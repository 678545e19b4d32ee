"""Secrets of a team and of its apps. Values go in and never come out."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.inputs import PageQuery, checked
from console.api.inputs.secrets import SecretInput
from console.api.outputs.secrets import SecretOutput
from console.api.paging import Order
from console.api.views.base import AppView, TeamView, listing
from console.workloads import secretstore

BY_NAME = Order(("secret.name", "secret.pk"))


class TeamSecrets(TeamView):
    @extend_schema(operation_id="list_team_secrets", parameters=[PageQuery], responses=listing(SecretOutput))
    def get(self, request: Request, team: str) -> Response:
        """The team's own secrets, which each of its apps can take. Never their values."""
        rows = secretstore.list_secrets(self.access.team)
        return self.page(SecretOutput, rows, BY_NAME, self.query(PageQuery))

    @extend_schema(operation_id="store_team_secret", request=SecretInput, responses={201: SecretOutput})
    def post(self, request: Request, team: str) -> Response:
        """Store a secret, or the next version of one. Apps take it with their next release. For owners."""
        given = checked(SecretInput, request.data)
        return Response(SecretOutput(secretstore.store_secret(self.access, None, **given)).data, status=201)


class TeamSecret(TeamView):
    @extend_schema(operation_id="get_team_secret", responses=SecretOutput)
    def get(self, request: Request, team: str, secret: str) -> Response:
        """One secret of the team, without its value."""
        return Response(SecretOutput(secretstore.find_secret(self.access.team, None, secret)).data)

    @extend_schema(operation_id="delete_team_secret", responses={204: None})
    def delete(self, request: Request, team: str, secret: str) -> Response:
        """Delete all versions of a secret that no app takes. For owners."""
        secretstore.delete_secret(self.access, None, secret)
        return Response(status=204)


class AppSecrets(AppView):
    @extend_schema(operation_id="list_app_secrets", parameters=[PageQuery], responses=listing(SecretOutput))
    def get(self, request: Request, team: str, app: str) -> Response:
        """The app's own secrets; they come before the team's of the same name. Never their values."""
        rows = secretstore.list_secrets(self.access.team, self.app)
        return self.page(SecretOutput, rows, BY_NAME, self.query(PageQuery))

    @extend_schema(operation_id="store_app_secret", request=SecretInput, responses={201: SecretOutput})
    def post(self, request: Request, team: str, app: str) -> Response:
        """Store a secret, or the next version of one. The app takes it with its next release."""
        given, found = checked(SecretInput, request.data), self.app
        return Response(SecretOutput(secretstore.store_secret(self.access, found, **given)).data, status=201)


class AppSecret(AppView):
    @extend_schema(operation_id="get_app_secret", responses=SecretOutput)
    def get(self, request: Request, team: str, app: str, secret: str) -> Response:
        """One secret of the app, without its value."""
        return Response(SecretOutput(secretstore.find_secret(self.access.team, self.app, secret)).data)

    @extend_schema(operation_id="delete_app_secret", responses={204: None})
    def delete(self, request: Request, team: str, app: str, secret: str) -> Response:
        """Delete all versions of a secret that the app does not take."""
        secretstore.delete_secret(self.access, self.app, secret)
        return Response(status=204)
