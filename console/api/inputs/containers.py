"""Which containers, and what to run inside one."""

from __future__ import annotations

import shlex
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from console.api.inputs import Input, PageQuery
from console.workloads.enums import ContainerState
from nodeagent.protocol import MOST_ARGUMENT, MOST_ARGUMENTS, MOST_CELLS

MOST_COMMAND = 64 * 1024


class ContainersQuery(PageQuery):
    state = serializers.ChoiceField(choices=ContainerState.choices, required=False)
    service = serializers.CharField(required=False)
    node = serializers.CharField(required=False, help_text="Name or id.")
    since = serializers.DateTimeField(required=False, help_text="Made at or after this time.")
    ended = serializers.BooleanField(default=False, help_text="Also those that are gone from their nodes.")


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
