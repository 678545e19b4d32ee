"""What requests may say. Serializers only check the form; what it means is checked by the services."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from console.accounts.enums import APP_ROLES, Role, Verb
from console.accounts.models import MOST_LOG_DAYS
from console.accounts.quotas import LEAST_CPU, LEAST_MEMORY
from console.cluster.enums import NodeState
from console.images.services import DEFAULT_HOST
from console.webhooks.enums import DeliveryState
from console.webhooks.services import MOST_KINDS, MOST_OVERLAP, USUAL_OVERLAP
from console.workloads import metrics
from console.workloads.enums import AppState, ContainerState, OperationKind, OperationState, ReleaseState
from console.workloads.logevents import MOST_PATTERN, moment_of
from console.workloads.moves import LEAST_GAIN, MOST_MOVES, USUAL_GAIN, USUAL_MOVES
from console.workloads.services import MOST_REPLICAS
from nodeagent.protocol import MOST_ARGUMENT, MOST_ARGUMENTS, MOST_CELLS

MOST_TAIL = 5000
MOST_ROWS, USUAL_ROWS = 200, 25
LONGEST_WAIT = 300
MOST_COMMAND = 64 * 1024
_AGE = re.compile(r"(\d{1,7})([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_KEY = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")


class Input(serializers.Serializer[Any]):
    """Refuses fields that it does not know, so that a misspelt one is not lost in silence."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := [str(key) for key in data if key not in self.fields]):
            raise ValidationError({key: [_("There is no such field.")] for key in unknown})
        return super().to_internal_value(data)


def checked(kind: type[Input], data: Any) -> dict[str, Any]:
    """The valid input; raises DRF's ValidationError, whose fields are named in the answer."""
    serializer = kind(data=data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


class TextMap(serializers.DictField):
    """Texts by name."""

    child = serializers.CharField(allow_blank=True, trim_whitespace=False)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and any(not _KEY.fullmatch(str(key)) for key in data):
            raise ValidationError(_("A name has 1 to 200 characters and no control characters."))
        return super().to_internal_value(data)


class ComposeInput(Input):
    compose = serializers.CharField(trim_whitespace=False, help_text="The Compose file's text.")
    variables = TextMap(required=False, help_text="Values for ${NAME} in the file.")
    files = TextMap(
        required=False, help_text="Texts of env_file and config files, by their path in the file."
    )


class AppInput(ComposeInput):
    name = serializers.CharField(max_length=200)


class RollbackInput(Input):
    release = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


class ScaleInput(Input):
    replicas = serializers.IntegerField(min_value=0, max_value=MOST_REPLICAS)


class NoInput(Input):
    """An empty body, or `{}`."""


class DeathInput(Input):
    volumes = serializers.BooleanField(
        default=False,
        help_text="Give up its volumes as well: what had its data there starts elsewhere with empty ones.",
    )


class DeleteQuery(Input):
    volumes = serializers.ChoiceField(
        choices=("keep", "delete"), default="keep", help_text="What happens to the app's volumes."
    )


class ForgetQuery(Input):
    forget = serializers.BooleanField(
        default=False, help_text="Only strike it out: its node is gone for good. For administrators."
    )


class PageQuery(Input):
    """Of every list."""

    limit = serializers.IntegerField(min_value=1, max_value=MOST_ROWS, default=USUAL_ROWS)
    cursor = serializers.CharField(
        max_length=1000, required=False, help_text="Where the page begins, as the one before it says."
    )


class AppsQuery(PageQuery):
    state = serializers.ChoiceField(choices=AppState.choices, required=False)
    service = serializers.CharField(required=False, help_text="Those that have a service of this name.")
    node = serializers.CharField(
        required=False, help_text="Those with a container on this node (name or id)."
    )
    search = serializers.CharField(required=False, help_text="A part of the name.")


class ReleasesQuery(PageQuery):
    state = serializers.ChoiceField(choices=ReleaseState.choices, required=False)


class NodesQuery(PageQuery):
    state = serializers.ChoiceField(choices=NodeState.choices, required=False)
    zone = serializers.CharField(required=False)


class ContainersQuery(PageQuery):
    state = serializers.ChoiceField(choices=ContainerState.choices, required=False)
    service = serializers.CharField(required=False)
    node = serializers.CharField(required=False, help_text="Name or id.")
    since = serializers.DateTimeField(required=False, help_text="Made at or after this time.")
    ended = serializers.BooleanField(default=False, help_text="Also those that are gone from their nodes.")


class OperationsQuery(PageQuery):
    app = serializers.CharField(required=False, help_text="Name or id of one app.")
    state = serializers.ChoiceField(choices=OperationState.choices, required=False)
    kind = serializers.ChoiceField(choices=OperationKind.choices, required=False)
    since = serializers.DateTimeField(required=False, help_text="Begun at or after this time.")


class AppEventsQuery(PageQuery):
    node = serializers.CharField(required=False, help_text="Name or id.")
    kind = serializers.CharField(
        max_length=64, required=False, help_text="As `app.scale`; `app` is all that begin with `app.`."
    )
    warning = serializers.BooleanField(allow_null=True, default=None, help_text="Only warnings, or none.")
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False, help_text="Before this time.")


class EventsQuery(AppEventsQuery):
    app = serializers.CharField(required=False, help_text="Name or id.")


class AuditQuery(PageQuery):
    actor = serializers.CharField(required=False, max_length=254, help_text="Who did it: an address.")
    kind = serializers.RegexField(
        r"^[a-z_]+(\.[a-z_]+)*$",
        max_length=64,
        required=False,
        help_text="One kind, as `member.role`, or all that begin with a word, as `member`.",
    )
    token = serializers.CharField(
        required=False, max_length=200, help_text="Name or id of the API token that it was done with."
    )
    target = serializers.CharField(
        required=False,
        max_length=254,
        help_text="What it was done to: name or id of an app, a node, a member, a token, a webhook, a secret, …",
    )
    since = serializers.DateTimeField(required=False, help_text="At or after this time.")
    until = serializers.DateTimeField(required=False, help_text="Before this time.")


class AuditExportQuery(Input):
    after = serializers.IntegerField(
        min_value=0, max_value=2**63 - 1, default=0, help_text="Number (`seq`) of the last row that you have."
    )


class EventStreamQuery(Input):
    app = serializers.CharField(required=False, help_text="Name or id of one app.")
    after = serializers.IntegerField(
        min_value=0,
        max_value=2**63 - 1,
        required=False,
        help_text="As Last-Event-ID; without either: from now on.",
    )


class WaitQuery(Input):
    timeout = serializers.FloatField(min_value=0, max_value=LONGEST_WAIT, default=60, help_text="Seconds.")
    state = serializers.ChoiceField(
        choices=OperationState.choices,
        required=False,
        help_text="Wait for this one; without it, for the end.",
    )


class LogTime(serializers.Field[str, str, str, Any]):
    """A moment, as a timestamp of the engines'."""

    def to_internal_value(self, data: str) -> str:
        try:
            return moment_of(str(data), timezone.now())
        except ValueError as error:
            raise serializers.ValidationError(
                _("Write it as 2026-01-31T12:00:00Z, or as an age such as 10m, 2h or 7d.")
            ) from error

    def to_representation(self, value: str) -> str:
        return value


class LogsQuery(Input):
    follow = serializers.BooleanField(default=False, help_text="Go on with server-sent events.")
    tail = serializers.IntegerField(
        min_value=0,
        max_value=MOST_TAIL,
        required=False,
        help_text="The last old lines of each container. "
        "100 if nothing narrows them (`since`, `until`, `search`), else all.",
    )
    since = LogTime(required=False, help_text="RFC 3339, or an age such as 10m, 2h or 7d.")
    until = LogTime(required=False, help_text="As `since`; not with `follow`.")
    search = serializers.CharField(
        required=False,
        trim_whitespace=False,
        max_length=MOST_PATTERN,
        help_text="Lines with this text alone, whatever its case.",
    )
    regex = serializers.BooleanField(default=False, help_text="`search` is a pattern, in RE2's syntax.")
    ended = serializers.BooleanField(
        default=False, help_text="Also what is kept of containers that ended and are gone from their nodes."
    )
    service = serializers.CharField(required=False, help_text="One service alone.")
    slot = serializers.IntegerField(required=False, min_value=1, help_text="With `service`: one slot of it.")
    container = serializers.CharField(
        required=False, help_text="One container alone, by its id; also one that ended."
    )
    format = serializers.ChoiceField(
        choices=("json", "text"),
        default="json",
        help_text="`text`: as a file of plain lines; not with `follow`.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """What makes no sense together is an error, not ignored."""
        problems: dict[str, Any] = {}
        if attrs["follow"]:
            problems |= {name: _("Not with follow.") for name in ("until",) if name in attrs}
            problems |= {"format": _("Not with follow.")} if attrs["format"] == "text" else {}
        if "slot" in attrs and "service" not in attrs:
            problems["slot"] = _("Name its service, too.")
        if problems:
            raise serializers.ValidationError(problems)
        return attrs


@extend_schema_field(OpenApiTypes.STR)
class Age(serializers.Field[int, str, int, Any]):
    """A number of seconds, as 3600, 30m, 24h or 7d."""

    def to_internal_value(self, data: str) -> int:
        found = _AGE.fullmatch(str(data))
        seconds = int(found[1]) * _UNITS[found[2]] if found else 0
        if not 60 <= seconds <= metrics.AGES[-1]:
            raise serializers.ValidationError(_("Choose from 1m to 7d: 30m, 24h or 3600, say."))
        return seconds

    def to_representation(self, value: int) -> int:
        return value


class SingleMetricsQuery(Input):
    range = Age(default=3600, help_text="How far back, from 1m to 7d: 30m, 24h or 3600, say.")
    step = serializers.ChoiceField(
        choices=metrics.STEPS,
        required=False,
        help_text="Seconds. The finest that is kept for the range is usual: 10 for an hour, 60 for a day, else 600.",
    )


class _MetricsQuery(SingleMetricsQuery):
    limit = serializers.IntegerField(
        min_value=1,
        max_value=metrics.MOST_SERIES,
        default=metrics.USUAL_SERIES,
        help_text="At most so many, the busiest.",
    )


class TeamMetricsQuery(_MetricsQuery):
    by = serializers.ChoiceField(choices=("team", "app"), default="app")


class AppMetricsQuery(_MetricsQuery):
    by = serializers.ChoiceField(choices=("app", "service", "slot"), default="service")


class ServiceMetricsQuery(_MetricsQuery):
    by = serializers.ChoiceField(choices=("service", "slot"), default="slot")


class QuotaInput(Input):
    """What is left out has no limit; a priority that is left out is 0."""

    apps = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False, allow_null=True)
    containers = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False, allow_null=True)
    cpu = serializers.IntegerField(
        min_value=0, max_value=2**62, required=False, allow_null=True, help_text="Thousandths of a core."
    )
    memory = serializers.IntegerField(
        min_value=0, max_value=2**62, required=False, allow_null=True, help_text="Bytes."
    )
    priority = serializers.IntegerField(
        min_value=-1000,
        max_value=1000,
        required=False,
        help_text="The highest `x-berth.priority` that services may have.",
    )


class SizeInput(Input):
    name = serializers.CharField(max_length=200)
    cpu = serializers.IntegerField(min_value=LEAST_CPU, max_value=10**7, help_text="Thousandths of a core.")
    memory = serializers.IntegerField(min_value=LEAST_MEMORY, max_value=2**50, help_text="Bytes.")
    default = serializers.BooleanField(default=False, help_text="For services that give no limits.")


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


class NodeInput(Input):
    name = serializers.CharField(max_length=200)
    zone = serializers.CharField(max_length=40, required=False, allow_blank=True)
    labels = TextMap(required=False)


class NodeChangeInput(Input):
    """What is left out stays."""

    zone = serializers.CharField(
        max_length=40, required=False, allow_blank=True, help_text="Empty: it is in none."
    )
    labels = TextMap(
        required=False,
        help_text="All that it is to have whatever its agent says; each goes before the agent's of the same name.",
    )


class JoinTokenInput(Input):
    name = serializers.CharField(
        max_length=40, required=False, allow_blank=True, help_text="Without it the host says its own."
    )
    zone = serializers.CharField(max_length=40, required=False, allow_blank=True)
    labels = TextMap(required=False)
    node = serializers.CharField(
        max_length=40, required=False, help_text="A node that gets a new host or new credentials."
    )
    minutes = serializers.IntegerField(
        min_value=1, max_value=7 * 24 * 60, default=60, help_text="How long it may be used."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "node" in attrs and attrs.keys() & {"name", "zone", "labels"}:
            raise serializers.ValidationError({"node": _("A node that is there keeps its name and labels.")})
        return attrs


class JoinInput(Input):
    """As the agent makes it. Its secrets stay with it: these are their SHA-256, as hex."""

    version = serializers.IntegerField(min_value=0, max_value=2**31 - 1)
    agent = serializers.CharField(max_length=40)
    token_digest = serializers.RegexField(r"^[0-9a-f]{64}$")
    broker_digest = serializers.RegexField(r"^[0-9a-f]{64}$")
    name = serializers.CharField(max_length=40, required=False, allow_blank=True)
    address = serializers.CharField(max_length=200, required=False, allow_blank=True)


class WhatIfQuery(Input):
    event = serializers.ChoiceField(
        choices=("loss", "drain"), default="loss", help_text="The node is gone at once, or is emptied."
    )


class RoomQuery(Input):
    limit = serializers.IntegerField(
        min_value=1, max_value=MOST_REPLICAS, default=100, help_text="How many more to try."
    )


class RebalanceQuery(Input):
    budget = serializers.IntegerField(min_value=1, max_value=MOST_MOVES, default=USUAL_MOVES)
    gain = serializers.FloatField(
        min_value=LEAST_GAIN,
        max_value=1000,
        default=USUAL_GAIN,
        help_text="A move must lower the measure by this.",
    )


class MoveInput(Input):
    container = serializers.CharField(max_length=16)
    node = serializers.CharField(max_length=16, help_text="Id of the node on which it was found.")
    target = serializers.CharField(max_length=16)


class MovesInput(Input):
    moves = serializers.ListField(
        child=MoveInput(), max_length=MOST_MOVES, help_text="As a dry run gave them."
    )


class RegistryInput(Input):
    host = serializers.CharField(max_length=200, default=DEFAULT_HOST)
    username = serializers.CharField(max_length=200)
    password = serializers.CharField(max_length=4096, trim_whitespace=False, write_only=True)


class SecretInput(Input):
    name = serializers.CharField(max_length=200)
    value = serializers.CharField(trim_whitespace=False, write_only=True, help_text="Never shown again.")


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


class WebhookChangeInput(Input):
    name = serializers.CharField(max_length=100, required=False)
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    url = serializers.CharField(max_length=2000, required=False)
    kinds = serializers.ListField(
        child=serializers.RegexField(r"^[a-z_]+(\.[a-z_]+)*$", max_length=64),
        required=False,
        max_length=MOST_KINDS,
        help_text="As `app.scale`; `app` is all that begin with `app.`. Every kind when it is empty.",
    )
    apps = serializers.ListField(
        child=serializers.CharField(max_length=100),
        required=False,
        allow_null=True,
        allow_empty=False,
        max_length=100,
        help_text="Names or ids of the apps whose events it gets; null: the whole team's, and the nodes'.",
    )
    warnings_only = serializers.BooleanField(required=False)
    active = serializers.BooleanField(required=False, help_text="False: nothing is sent.")


class WebhookInput(WebhookChangeInput):
    name = serializers.CharField(max_length=100)
    url = serializers.CharField(max_length=2000)


class RotationInput(Input):
    overlap_hours = serializers.IntegerField(
        min_value=0,
        max_value=MOST_OVERLAP,
        default=USUAL_OVERLAP,
        help_text="For so long the old secret signs as well.",
    )


class DeliveriesQuery(PageQuery):
    state = serializers.ChoiceField(choices=DeliveryState.choices, required=False)
    kind = serializers.CharField(
        max_length=64, required=False, help_text="As `app.scale`; `app` is all that begin with `app.`."
    )
    since = serializers.DateTimeField(required=False, help_text="Made at or after this time.")


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


class CommandField(serializers.ListField):
    """A program and its arguments; a text is split as a shell would, and no shell sees it."""

    child = serializers.CharField(max_length=MOST_ARGUMENT, trim_whitespace=False, allow_blank=True)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str):
            try:
                data = shlex.split(data)
            except ValueError as error:
                raise ValidationError(_("The command's quotes do not match.")) from error
        command = super().to_internal_value(data)
        if command and not command[0]:
            raise ValidationError(_("The command names no program."))
        if sum(len(part.encode()) for part in command) > MOST_COMMAND:
            raise ValidationError(_("The command is too long."))
        return command


class ExecInput(Input):
    command = CommandField(
        max_length=MOST_ARGUMENTS, required=False, help_text="A shell when it is left out. A list, or a text."
    )
    tty = serializers.BooleanField(
        default=True, help_text="On a terminal; else stderr comes apart from stdout."
    )
    user = serializers.RegexField(
        r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,99})?$",
        required=False,
        help_text="User, or user:group; the container's own when it is left out.",
    )
    working_dir = serializers.RegexField(r"^/[^\x00-\x1f]{0,299}$", required=False)
    width = serializers.IntegerField(min_value=1, max_value=MOST_CELLS, default=80)
    height = serializers.IntegerField(min_value=1, max_value=MOST_CELLS, default=24)
