"""What may be said of teams, their people, tokens and registry logins."""

from __future__ import annotations

from rest_framework import serializers

from console.accounts.enums import APP_ROLES, Role, Verb
from console.accounts.models import MOST_LOG_DAYS
from console.api.inputs import Input, PageQuery
from console.images.services import DEFAULT_HOST


class TeamInput(Input):
    name = serializers.CharField(max_length=100, required=False)
    log_retention_days = serializers.IntegerField(
        min_value=0,
        max_value=MOST_LOG_DAYS,
        required=False,
        help_text="How long logs of ended containers are kept; 0: not at all.",
    )
    two_factor_required = serializers.BooleanField(
        required=False, help_text="Whether members come in with a second factor alone. Tokens go on working."
    )


class RegistryInput(Input):
    host = serializers.CharField(max_length=200, default=DEFAULT_HOST)
    username = serializers.CharField(max_length=200)
    password = serializers.CharField(max_length=4096, trim_whitespace=False, write_only=True)


class TokenInput(Input):
    name = serializers.CharField(max_length=100)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    verbs = serializers.ListField(
        child=serializers.ChoiceField(choices=Verb.choices),
        required=False,
        allow_empty=False,
        max_length=len(Verb),
        help_text="What it may do, as far as its holder may. All when left out; each includes “read”.",
    )
    apps = serializers.ListField(
        child=serializers.CharField(max_length=100),
        required=False,
        allow_empty=False,
        max_length=100,
        help_text="Names or ids of the apps it is for; the whole team when left out.",
    )
    service_account = serializers.CharField(
        required=False, max_length=40, help_text="Whose token it is, instead of your own. For owners."
    )


class TokensQuery(PageQuery):
    all = serializers.BooleanField(default=False, help_text="Everybody's in the team. For owners.")


class NewTeamInput(Input):
    slug = serializers.CharField(max_length=40, help_text="Its word in addresses; it stays.")
    name = serializers.CharField(max_length=100, required=False)


class InvitationInput(Input):
    email = serializers.CharField(max_length=254)
    role = serializers.ChoiceField(choices=Role.choices, default=Role.DEVELOPER.value)


class UserInput(Input):
    administrator = serializers.BooleanField(required=False, help_text="Of the platform.")
    active = serializers.BooleanField(required=False, help_text="False: nobody signs in as this user.")
    email = serializers.EmailField(
        required=False, help_text="Another address, for which you vouch; the old one is told."
    )


class RoleInput(Input):
    role = serializers.ChoiceField(choices=Role.choices)


class AppRoleInput(Input):
    member = serializers.CharField(
        max_length=254, help_text="Address or id of a member, or a service account."
    )
    role = serializers.ChoiceField(
        choices=APP_ROLES,
        allow_null=True,
        help_text="null: the role in the team again.",
    )


class ServiceAccountInput(Input):
    name = serializers.CharField(max_length=40)
    role = serializers.ChoiceField(choices=Role.choices, default=Role.DEVELOPER.value)
