"""What people type into pages. Forms check shape; services check sense."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from allauth.account.forms import LoginForm
from django import forms
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from console.accounts.enums import APP_ROLES, Role, Verb
from console.accounts.models import MOST_LOG_DAYS, Membership
from console.cluster.models import Node
from console.webhooks.services import MOST_OVERLAP, USUAL_OVERLAP
from console.workloads.moves import LEAST_GAIN, MOST_MOVES

_IMAGE = re.compile(
    r"^((localhost|[\w-]+(\.[\w-]+)+|[\w-]+(?=:\d))(:\d+)?/)?"
    r"[a-z0-9]+([._/-]+[a-z0-9]+)*(:\w[\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$",
    re.ASCII,
)
"""A registry host, a name, a tag, a digest; as the engine's reference grammar has it."""
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=(.*)")


class AssignmentsField(forms.CharField):
    """Lines of NAME=value, as a dict. Empty lines and those that begin with # are passed over."""

    widget = forms.Textarea
    assignment = _ASSIGNMENT

    def __init__(self, **options: Any) -> None:
        options.setdefault("required", False)
        super().__init__(strip=False, **options)

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {**super().widget_attrs(widget), "rows": 4, "spellcheck": "false", "autocomplete": "off"}

    def clean(self, value: Any) -> Any:
        text = super().clean(value) or ""
        found: dict[str, str] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            match = self.assignment.fullmatch(line.strip())
            if match is None:
                raise forms.ValidationError(_("Line %(line)d is not NAME=value."), params={"line": number})
            found[match[1]] = _unquote(match[2].strip())
        return found


def _unquote(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


class _Moment(forms.DateTimeInput):
    """As a browser asks for it and sends it: to the minute, without a zone."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class SignInForm(LoginForm):  # type: ignore[misc]
    """allauth's, which also counts attempts, with our words."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["login"].label = _("E-mail")
        self.fields["login"].widget = forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
        self.fields["password"].label = _("Password")
        self.fields["password"].help_text = ""
        self.fields["password"].widget = forms.PasswordInput(attrs={"autocomplete": "current-password"})


class ProfileForm(forms.Form):
    """One's own account. `email` is open where it may be changed; `password` is asked for at the first visit."""

    name = forms.CharField(
        label=_("Name"), max_length=100, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    email = forms.EmailField(label=_("E-mail"), widget=forms.EmailInput(attrs={"autocomplete": "username"}))
    password = forms.CharField(
        label=_("New password"),
        required=False,
        strip=False,
        help_text=_("At least 10 characters."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, first: bool, address: bool, mailed: bool, **more: Any) -> None:
        super().__init__(*args, **more)
        if not first:
            del self.fields["password"]
        self.fields["email"].disabled = not address
        if not address:
            self.fields["email"].help_text = _("A platform administrator can change it.")
        elif mailed:
            self.fields["email"].help_text = _(
                "A new one counts once you follow the link that is mailed to it."
            )


class AppNameForm(forms.Form):
    name = forms.CharField(
        label=_("App name"),
        max_length=40,
        help_text=_("Lower-case letters, digits and hyphens."),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )


class ImageForm(AppNameForm):
    """An app of one service from an image."""

    image = forms.CharField(
        label=_("Image"),
        max_length=300,
        validators=[RegexValidator(_IMAGE, _("This is no image name."))],
        help_text=_("A name as `docker pull` takes it, with a tag or a digest."),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )
    port = forms.IntegerField(
        label=_("Container port"),
        required=False,
        min_value=1,
        max_value=65535,
        help_text=_("The port the app listens on. Berth publishes it on a free port of its node."),
    )
    replicas = forms.IntegerField(label=_("Replicas"), min_value=0, max_value=1000, initial=1)
    environment = AssignmentsField(label=_("Environment"), help_text=_("One NAME=value a line."))


class ReleaseForm(forms.Form):
    """A Compose text with its variables. Its files come as rows of `file_path` and `file_text`."""

    compose = forms.CharField(
        label=_("Compose file"),
        strip=False,
        widget=forms.Textarea(attrs={"spellcheck": "false", "rows": 18, "data-editor": _("Compose file")}),
    )
    variables = AssignmentsField(
        label=_("Variables"), help_text=_("NAME=value lines for ${NAME} in the file.")
    )


class ComposeForm(ReleaseForm, AppNameForm):
    """A new app from a Compose text."""

    field_order = ["name", "compose", "variables"]


class ScaleForm(forms.Form):
    replicas = forms.IntegerField(min_value=0, max_value=1000)


class RoomForm(forms.Form):
    limit = forms.IntegerField(label=_("Try up to"), min_value=1, max_value=1000)


class RebalanceForm(forms.Form):
    budget = forms.IntegerField(
        label=_("Moves at most"),
        min_value=1,
        max_value=MOST_MOVES,
        help_text=_("Each replaces one container."),
    )
    gain = forms.FloatField(
        label=_("Least gain of a move"),
        min_value=LEAST_GAIN,
        max_value=1000,
        help_text=_("By which it must lower the measure of unevenness."),
        widget=forms.NumberInput(attrs={"step": "any"}),
    )


class HostForm(forms.Form):
    """A host to be. Without a name it says its own."""

    name = forms.CharField(
        label=_("Node name"),
        max_length=40,
        required=False,
        help_text=_("Lower-case letters, digits and hyphens. Left empty: the host's own name."),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )
    zone = forms.CharField(
        label=_("Zone"),
        max_length=40,
        required=False,
        help_text=_("A room, rack or site; replicas are spread over zones."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    minutes = forms.TypedChoiceField(
        label=_("The command is valid for"),
        coerce=int,
        initial=60,
        choices=[
            (10, _("10 minutes")),
            (60, _("1 hour")),
            (24 * 60, _("1 day")),
            (7 * 24 * 60, _("7 days")),
        ],
    )


class LabelsField(AssignmentsField):
    assignment = re.compile(r"([^\s=]+)\s*=(.*)")


class NodeForm(forms.Form):
    """Where a node stands, and its labels."""

    zone = forms.CharField(
        label=_("Zone"),
        max_length=40,
        required=False,
        help_text=_("A room, rack or site; replicas are spread over zones."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    labels = LabelsField(
        label=_("Labels"),
        help_text=_("One name=value on a line. They go before what the agent says of the same name."),
    )

    @classmethod
    def of(cls, node: Node) -> NodeForm:
        lines = (f"{key}={value}" for key, value in node.labels.items())
        return cls(initial={"zone": node.zone, "labels": "\n".join(lines)})


_CHECKS = forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"})


class TokenForm(forms.Form):
    name = forms.CharField(
        label=_("Token name"),
        max_length=100,
        help_text=_("What will use it, “CI” for example."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    days = forms.TypedChoiceField(
        label=_("Valid for"),
        coerce=int,
        initial=90,
        choices=[(30, _("30 days")), (90, _("90 days")), (365, _("One year")), (0, _("Until revoked"))],
    )
    holder = forms.ChoiceField(label=_("For"), required=False)
    verbs = forms.MultipleChoiceField(
        label=_("It may"),
        required=False,
        choices=Verb.choices,
        widget=_CHECKS,
        help_text=_("Nothing chosen: all that its holder may."),
    )
    apps = forms.MultipleChoiceField(
        label=_("In these apps"),
        required=False,
        widget=_CHECKS,
        help_text=_("Nothing chosen: the whole team."),
    )

    def __init__(
        self, *args: Any, apps: Iterable[tuple[str, str]] = (), accounts: Iterable[str] = (), **more: Any
    ) -> None:
        super().__init__(*args, **more)
        choices = [("", _("Myself")), *((name, name) for name in accounts)]
        cast(forms.ChoiceField, self.fields["holder"]).choices = choices
        cast(forms.ChoiceField, self.fields["apps"]).choices = list(apps)


class WebhookForm(forms.Form):
    name = forms.CharField(
        label=_("Name"), max_length=100, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    url = forms.CharField(
        label=_("Address"),
        max_length=2000,
        help_text=_("Deliveries are sent there by POST, signed. Owners alone see it."),
        widget=forms.URLInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    description = forms.CharField(label=_("Description"), max_length=500, required=False)
    kinds = forms.CharField(
        label=_("Events"),
        max_length=2000,
        required=False,
        help_text=_(
            "Kinds by comma: app.deploy, node.down; “app” is all that begin with it. Empty: every event."
        ),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )
    apps = forms.MultipleChoiceField(
        label=_("Of these apps"),
        required=False,
        widget=_CHECKS,
        help_text=_("Nothing chosen: the whole team, and the nodes."),
    )
    warnings_only = forms.BooleanField(label=_("Warnings only"), required=False)

    def __init__(self, *args: Any, apps: Iterable[tuple[str, str]] = (), **more: Any) -> None:
        super().__init__(*args, **more)
        cast(forms.ChoiceField, self.fields["apps"]).choices = list(apps)

    def clean_kinds(self) -> list[str]:
        return [word for word in re.split(r"[,\s]+", self.cleaned_data["kinds"]) if word]


class RotationForm(forms.Form):
    overlap_hours = forms.TypedChoiceField(
        label=_("The old secret also signs for"),
        coerce=int,
        initial=USUAL_OVERLAP,
        choices=[
            (0, _("no longer: it leaked")),
            (1, _("1 hour")),
            (USUAL_OVERLAP, _("1 day")),
            (MOST_OVERLAP, _("7 days")),
        ],
    )


class InvitationForm(forms.Form):
    email = forms.EmailField(label=_("E-mail"), widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.DEVELOPER)


class ServiceAccountForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=40,
        help_text=_("Lower-case letters, digits and hyphens."),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.DEVELOPER)


class AuditForm(forms.Form):
    """What narrows the audit. Times are UTC."""

    narrows = True
    """All of it may be left out, and no field says so."""
    scope = forms.CharField(required=False, max_length=20, widget=forms.HiddenInput)
    actor = forms.CharField(label=_("Who"), required=False, max_length=254)
    kind = forms.CharField(label=_("What: app.scale, token, …"), required=False, max_length=64)
    target = forms.CharField(label=_("Done to"), required=False, max_length=254)
    token = forms.CharField(label=_("API token"), required=False, max_length=200)
    app = forms.CharField(label=_("App"), required=False, max_length=40)
    since = forms.DateTimeField(label=_("From (UTC)"), required=False, widget=_Moment)
    until = forms.DateTimeField(label=_("Until (UTC)"), required=False, widget=_Moment)


class AppRoleForm(forms.Form):
    member = forms.ChoiceField(label=_("Who"))
    app = forms.ChoiceField(label=_("App"))
    role = forms.ChoiceField(label=_("Role"), choices=APP_ROLES)

    def __init__(
        self, *args: Any, members: Iterable[Membership], apps: Iterable[tuple[str, str]], **more: Any
    ) -> None:
        super().__init__(*args, **more)
        others = [(one.user_id, one.user.actor) for one in members if one.role != Role.OWNER]
        cast(forms.ChoiceField, self.fields["member"]).choices = others
        cast(forms.ChoiceField, self.fields["app"]).choices = list(apps)


class TeamNameForm(forms.Form):
    team_name = forms.CharField(label=_("Team name"), max_length=100)


class NewTeamForm(forms.Form):
    name = forms.CharField(label=_("Team name"), max_length=100)
    slug = forms.CharField(
        label=_("Address"),
        max_length=40,
        help_text=_("Lower-case letters, digits and hyphens. It stays as it is."),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )


class JoinForm(forms.Form):
    """A new account for an invited address."""

    name = forms.CharField(
        label=_("Name"), max_length=100, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        help_text=_("At least 10 characters."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class LogRetentionForm(forms.Form):
    log_days = forms.IntegerField(
        label=_("Days"),
        min_value=0,
        max_value=MOST_LOG_DAYS,
        help_text=_("0 keeps none. A shorter time also deletes what is older already."),
    )


class SecretForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        help_text=_("As a Compose file names it. One that is there gets another version."),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )
    value = forms.CharField(
        label=_("Value"),
        strip=False,
        help_text=_("Kept sealed and never shown again. Its last line's end counts."),
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # What was typed is never part of a page, not even of one that says what is wrong.
        self.fields["value"].widget.format_value = lambda _value: ""


class RegistryForm(forms.Form):
    host = forms.CharField(
        label=_("Registry"), max_length=200, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    username = forms.CharField(
        label=_("User name"), max_length=200, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    password = forms.CharField(
        label=_("Password or token"),
        strip=False,
        help_text=_("Kept sealed and never shown again."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
