"""How people, teams and their credentials are shown."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from console.accounts.access import Access
from console.accounts.enums import Role, Verb
from console.accounts.models import ApiToken, Invitation, Membership, Team, User
from console.accounts.queries import AppMember, members_of
from console.api.outputs import shown
from console.images.models import RegistryCredential


class UserOutput(serializers.Serializer[User]):
    id = serializers.CharField()
    email = serializers.CharField()
    name = serializers.CharField()
    administrator = serializers.BooleanField(source="is_staff")


class TeamOutput(serializers.Serializer[Team]):
    id = serializers.CharField()
    slug = serializers.CharField()
    name = serializers.CharField()
    created_at = serializers.DateTimeField()


class MemberOutput(serializers.Serializer[Membership]):
    id = serializers.CharField(source="user_id")
    email = serializers.CharField(source="user.email")
    name = serializers.CharField(source="user.name")
    role = serializers.ChoiceField(choices=Role.choices)


class InvitationOutput(serializers.Serializer[Invitation]):
    id = serializers.CharField()
    email = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.choices)
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class PersonOutput(UserOutput):
    """A user, as platform administrators see them."""

    active = serializers.BooleanField(source="is_active")
    created_at = serializers.DateTimeField()
    last_login = serializers.DateTimeField(allow_null=True)
    teams = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_teams(self, user: User) -> list[str]:
        return sorted(membership.team.slug for membership in user.memberships.all())


class ServiceAccountOutput(serializers.Serializer[Membership]):
    id = serializers.CharField(source="user_id")
    name = serializers.CharField(source="user.name")
    role = serializers.ChoiceField(choices=Role.choices)
    created_at = serializers.DateTimeField(source="user.created_at")


class AppMemberOutput(serializers.Serializer[AppMember]):
    """Whoever may do something in an app, and as what."""

    member = serializers.CharField(source="membership.user.actor")
    id = serializers.CharField(source="membership.user_id")
    role = serializers.ChoiceField(choices=Role.choices, help_text="In this app.")
    team_role = serializers.ChoiceField(choices=Role.choices, source="membership.role")


class TeamDetailOutput(serializers.Serializer[Access]):
    """A team with the reader's own role, and all members."""

    id = serializers.CharField(source="team.id")
    slug = serializers.CharField(source="team.slug")
    name = serializers.CharField(source="team.name")
    created_at = serializers.DateTimeField(source="team.created_at")
    log_retention_days = serializers.IntegerField(
        source="team.log_retention_days", help_text="How long logs of ended containers are kept."
    )
    two_factor_required = serializers.BooleanField(
        source="team.two_factor_required", help_text="Whether members come in with a second factor alone."
    )
    role = serializers.ChoiceField(choices=Role.choices, help_text="Your own.")
    members = serializers.SerializerMethodField()

    @extend_schema_field(MemberOutput(many=True))
    def get_members(self, access: Access) -> list[dict[str, Any]]:
        return shown(MemberOutput, members_of(access.team))


class TokenOutput(serializers.Serializer[ApiToken]):
    id = serializers.CharField()
    name = serializers.CharField()
    hint = serializers.CharField(help_text="How the token begins.")
    created_at = serializers.DateTimeField()
    holder = serializers.CharField(source="user.actor", help_text="Whose rights it acts with.")
    verbs = serializers.ListField(child=serializers.ChoiceField(choices=Verb.choices))
    apps = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text="Ids; null: the whole team."
    )
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)


class RegistryOutput(serializers.Serializer[RegistryCredential]):
    """The password is never shown."""

    id = serializers.CharField()
    host = serializers.CharField()
    username = serializers.CharField()
    created_at = serializers.DateTimeField()
