"""Members of a team, its service accounts, and their roles in single apps."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.accounts import members as services
from console.accounts import queries
from console.accounts.enums import Role
from console.api.inputs import NoInput, PageQuery, checked
from console.api.inputs.accounts import AppRoleInput, RoleInput, ServiceAccountInput
from console.api.outputs.accounts import AppMemberOutput, MemberOutput, ServiceAccountOutput
from console.api.paging import Order
from console.api.views.base import AppView, TeamView, listing, page

BY_ADDRESS, BY_ACCOUNT = Order(("user.email", "pk")), Order(("user.name", "pk"))
BY_MEMBER = Order(("membership.user.actor", "membership.pk"))


class Members(TeamView):
    @extend_schema(operation_id="list_members", parameters=[PageQuery], responses=listing(MemberOutput))
    def get(self, request: Request, team: str) -> Response:
        """The people in the team, by address."""
        rows = queries.members_of(self.access.team)
        return self.page(MemberOutput, rows, BY_ADDRESS, self.query(PageQuery))


class Member(TeamView):
    @extend_schema(operation_id="get_member", responses=MemberOutput)
    def get(self, request: Request, team: str, member: str) -> Response:
        return Response(MemberOutput(services.find_member(self.access, member)).data)

    @extend_schema(operation_id="set_member", request=RoleInput, responses=MemberOutput)
    def post(self, request: Request, team: str, member: str) -> Response:
        """Another role in the team. For owners; the last one stays."""
        found = services.find_member(self.access, member)
        role = Role(checked(RoleInput, request.data)["role"])
        return Response(MemberOutput(services.set_role(self.access, found, role=role)).data)

    @extend_schema(operation_id="remove_member", responses={204: None})
    def delete(self, request: Request, team: str, member: str) -> Response:
        """Out of the team, with all tokens in it. For owners; the last one stays."""
        services.remove_member(self.access, services.find_member(self.access, member))
        return Response(status=204)


class Leave(TeamView):
    @extend_schema(operation_id="leave_team", request=NoInput, responses={204: None})
    def post(self, request: Request, team: str) -> Response:
        """Go from the team, with all your tokens in it. For people who are signed in; the last owner stays."""
        checked(NoInput, request.data)
        services.leave_team(self.access)
        return Response(status=204)


class ServiceAccounts(TeamView):
    @extend_schema(
        operation_id="list_service_accounts", parameters=[PageQuery], responses=listing(ServiceAccountOutput)
    )
    def get(self, request: Request, team: str) -> Response:
        """Principals of the team without a person."""
        rows = queries.service_accounts_of(self.access.team)
        return self.page(ServiceAccountOutput, rows, BY_ACCOUNT, self.query(PageQuery))

    @extend_schema(
        operation_id="create_service_account",
        request=ServiceAccountInput,
        responses={201: ServiceAccountOutput},
    )
    def post(self, request: Request, team: str) -> Response:
        """A new one; its tokens are made at `/tokens` with `service_account`. For owners."""
        given = checked(ServiceAccountInput, request.data)
        made = services.create_service_account(self.access, name=given["name"], role=Role(given["role"]))
        return Response(ServiceAccountOutput(made).data, status=201)


class ServiceAccount(TeamView):
    @extend_schema(operation_id="get_service_account", responses=ServiceAccountOutput)
    def get(self, request: Request, team: str, account: str) -> Response:
        return Response(ServiceAccountOutput(services.find_service_account(self.access, account)).data)

    @extend_schema(operation_id="set_service_account", request=RoleInput, responses=ServiceAccountOutput)
    def post(self, request: Request, team: str, account: str) -> Response:
        """Another role in the team; its tokens follow at once. For owners."""
        found = services.find_service_account(self.access, account)
        role = Role(checked(RoleInput, request.data)["role"])
        return Response(ServiceAccountOutput(services.set_role(self.access, found, role=role)).data)

    @extend_schema(operation_id="delete_service_account", responses={204: None})
    def delete(self, request: Request, team: str, account: str) -> Response:
        """Gone, with its tokens. For owners."""
        found = services.find_service_account(self.access, account)
        services.delete_service_account(self.access, found)
        return Response(status=204)


class AppMembers(AppView):
    @extend_schema(
        operation_id="list_app_members", parameters=[PageQuery], responses=listing(AppMemberOutput)
    )
    def get(self, request: Request, team: str, app: str) -> Response:
        """Everybody in the team with the role that holds in this app."""
        rows = queries.app_members(self.access.team, self.app.pk)
        return self.page(AppMemberOutput, rows, BY_MEMBER, self.query(PageQuery))

    @extend_schema(operation_id="set_app_member", request=AppRoleInput, responses=listing(AppMemberOutput))
    def post(self, request: Request, team: str, app: str) -> Response:
        """A role in this app that differs from the one in the team, or (null) no more. For owners."""
        given = checked(AppRoleInput, request.data)
        role = Role(given["role"]) if given["role"] else None
        self.access.require_owner()
        member = services.find_principal(self.access, given["member"])
        services.set_app_role(self.access, member, self.app, role=role)
        return page(AppMemberOutput, queries.app_members(self.access.team, self.app.pk))
