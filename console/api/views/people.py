"""Invitations into a team, and everybody with an account."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from django.db import transaction
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.accounts import addresses, invitations, people, queries
from console.accounts.access import require_administrator
from console.accounts.enums import Role
from console.api.inputs import PageQuery, checked
from console.api.inputs.accounts import InvitationInput, UserInput
from console.api.outputs.accounts import InvitationOutput, PersonOutput
from console.api.paging import Order
from console.api.views.base import ApiView, TeamView, listing

BY_ADDRESS = Order(("email", "pk"))
NEW_INVITATION = inline_serializer(
    "NewInvitation",
    {"invitation": InvitationOutput(), "url": serializers.CharField(help_text="Shown this once.")},
)


class Invitations(TeamView):
    @extend_schema(
        operation_id="list_invitations", parameters=[PageQuery], responses=listing(InvitationOutput)
    )
    def get(self, request: Request, team: str) -> Response:
        """Those that were not used. For owners."""
        self.access.require_owner()
        rows = queries.invitations_of(self.access.team)
        return self.page(InvitationOutput, rows, BY_ADDRESS, self.query(PageQuery))

    @extend_schema(operation_id="invite", request=InvitationInput, responses={201: NEW_INVITATION})
    def post(self, request: Request, team: str) -> Response:
        """Invite an address. The link works once, for that address alone, for a week. For owners."""
        given = checked(InvitationInput, request.data)
        made, secret = invitations.invite(self.access, email=given["email"], role=Role(given["role"]))
        body = {"invitation": InvitationOutput(made).data, "url": invitations.address_of(secret)}
        return Response(body, status=201)


class Invitation(TeamView):
    @extend_schema(operation_id="revoke_invitation", responses={204: None})
    def delete(self, request: Request, team: str, invitation: str) -> Response:
        """End an invitation. For owners."""
        invitations.revoke_invitation(self.access, invitation)
        return Response(status=204)


class PlatformView(ApiView):
    """For platform administrators, with a session or a token of all verbs."""

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        super().initial(request, *args, **kwargs)
        require_administrator(self.user, self.token)


class Users(PlatformView):
    @extend_schema(operation_id="list_users", parameters=[PageQuery], responses=listing(PersonOutput))
    def get(self, request: Request) -> Response:
        """Everybody with an account. For administrators."""
        return self.page(PersonOutput, queries.people(), BY_ADDRESS, self.query(PageQuery))


class UserDetail(PlatformView):
    @extend_schema(operation_id="get_user", responses=PersonOutput)
    def get(self, request: Request, user: str) -> Response:
        """One user. For administrators."""
        return Response(PersonOutput(people.find_person(user)).data)

    @extend_schema(operation_id="set_user", request=UserInput, responses=PersonOutput)
    def post(self, request: Request, user: str) -> Response:
        """Make a user a platform administrator, or disable an account, or the reverse; or give it another address. For
        administrators."""
        found, given = people.find_person(user), checked(UserInput, request.data)
        actor = self.user.actor
        with transaction.atomic():
            if "administrator" in given:
                found = people.set_administrator(found, administrator=given["administrator"], actor=actor)
            if "active" in given:
                found = people.set_active(found, active=given["active"], actor=actor)
            if "email" in given:
                found = addresses.set_address(found, given["email"], actor=actor)
        return Response(PersonOutput(found).data)
