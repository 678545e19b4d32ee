"""Oneself, teams, and one's tokens."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from dataclasses import replace

from django.db import transaction
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.accounts import services, tokens
from console.accounts.access import teams_of
from console.accounts.enums import Verb
from console.accounts.members import find_service_account
from console.accounts.models import ApiToken, Team, User
from console.accounts.queries import tokens_in, tokens_of
from console.accounts.teams import create_team, rename_team
from console.api.inputs import PageQuery, checked
from console.api.inputs.accounts import NewTeamInput, TeamInput, TokenInput, TokensQuery
from console.api.outputs import shown
from console.api.outputs.accounts import TeamDetailOutput, TeamOutput, TokenOutput, UserOutput
from console.api.paging import BY_NAME, NEWEST_FIRST
from console.api.views.base import ApiView, TeamView, listing
from console.workloads.access import find_app

ME = inline_serializer(
    "Me", {"user": UserOutput(), "token": TokenOutput(allow_null=True), "teams": TeamOutput(many=True)}
)
NEW_TOKEN = inline_serializer(
    "NewToken", {"token": TokenOutput(), "secret": serializers.CharField(help_text="Shown this once.")}
)


class Me(ApiView):
    @extend_schema(operation_id="me", responses=ME)
    def get(self, request: Request) -> Response:
        """Who you are, by which token, and your teams."""
        return Response(
            {
                "user": UserOutput(self.user).data,
                "token": TokenOutput(self.token).data if self.token else None,
                "teams": shown(TeamOutput, reachable_teams(self.user, self.token)),
            }
        )


class Teams(ApiView):
    @extend_schema(operation_id="list_teams", parameters=[PageQuery], responses=listing(TeamOutput))
    def get(self, request: Request) -> Response:
        """Your teams; with a token, its team."""
        return self.page(TeamOutput, reachable_teams(self.user, self.token), BY_NAME, self.query(PageQuery))

    @extend_schema(operation_id="create_team", request=NewTeamInput, responses={201: TeamOutput})
    def post(self, request: Request) -> Response:
        """A team that you own. For administrators, or everybody where the operator says so."""
        made = create_team(self.user, **checked(NewTeamInput, request.data), token=self.token)
        return Response(TeamOutput(made).data, status=201)


def reachable_teams(user: User, token: ApiToken | None) -> list[Team]:
    """The user's teams; a token reaches its own alone."""
    return [team for team in teams_of(user) if token is None or team.pk == token.team_id]


class TeamDetail(TeamView):
    @extend_schema(operation_id="get_team", responses=TeamDetailOutput)
    def get(self, request: Request, team: str) -> Response:
        """The team, your role in it, and its members."""
        return Response(TeamDetailOutput(self.access).data)

    @extend_schema(operation_id="set_team", request=TeamInput, responses=TeamDetailOutput)
    def post(self, request: Request, team: str) -> Response:
        """Change the team's name or settings. Owners only."""
        given, found = checked(TeamInput, request.data), self.access.team
        with transaction.atomic():
            if "name" in given:
                found = rename_team(self.access, name=given["name"])
            if "log_retention_days" in given:
                found = services.set_log_retention(self.access, days=given["log_retention_days"])
            if "two_factor_required" in given:
                found = services.set_two_factor_required(self.access, required=given["two_factor_required"])
        return Response(TeamDetailOutput(replace(self.access, team=found)).data)


class Tokens(TeamView):
    @extend_schema(operation_id="list_tokens", parameters=[TokensQuery], responses=listing(TokenOutput))
    def get(self, request: Request, team: str) -> Response:
        """Your own tokens in this team; for owners with `all`, everybody's."""
        query = self.query(TokensQuery)
        if query["all"]:
            self.access.require_owner()
            return self.page(TokenOutput, tokens_in(self.access.team), NEWEST_FIRST, query)
        rows = tokens_of(self.access.user, self.access.team)
        return self.page(TokenOutput, rows, NEWEST_FIRST, query)

    @extend_schema(operation_id="create_token", request=TokenInput, responses={201: NEW_TOKEN})
    def post(self, request: Request, team: str) -> Response:
        """A new token of yours, or of a service account, in this team. It acts with its holder's rights there, as
        they are at the time, as far as its verbs and apps go."""
        given = checked(TokenInput, request.data)
        if "apps" in given:
            given["apps"] = [find_app(self.access, name).pk for name in given["apps"]]
        if "verbs" in given:
            given["verbs"] = [Verb(verb) for verb in given["verbs"]]
        if "service_account" in given:
            given["service_account"] = find_service_account(self.access, given["service_account"]).user
        token, secret = tokens.create_token(self.access, **given)
        return Response({"token": TokenOutput(token).data, "secret": secret}, status=201)


class Token(TeamView):
    @extend_schema(operation_id="revoke_token", responses={204: None})
    def delete(self, request: Request, team: str, token: str) -> Response:
        """End one of your tokens, at once; as an owner, any of the team's."""
        tokens.revoke_token(self.access, token)
        return Response(status=204)
