"""What requests may say. Serializers only check the form; what it means is checked by the services."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from console.images.services import DEFAULT_HOST
from console.workloads.moves import LEAST_GAIN, MOST_MOVES, USUAL_GAIN, USUAL_MOVES
from console.workloads.services import MOST_REPLICAS

MOST_TAIL = 5000
LONGEST_WAIT = 300
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


class DeleteQuery(Input):
    volumes = serializers.ChoiceField(
        choices=("keep", "delete"), default="keep", help_text="What happens to the app's volumes."
    )


class ContainersQuery(Input):
    ended = serializers.BooleanField(default=False, help_text="Also those that are gone from their nodes.")


class OperationsQuery(Input):
    app = serializers.CharField(required=False, help_text="Name or id of one app; without it, what runs now.")


class EventsQuery(Input):
    before = serializers.IntegerField(
        min_value=1, max_value=2**63 - 1, required=False, help_text="Id of the oldest event seen so far."
    )
    limit = serializers.IntegerField(min_value=1, max_value=200, default=50)


class WaitQuery(Input):
    timeout = serializers.FloatField(min_value=0, max_value=LONGEST_WAIT, default=60, help_text="Seconds.")


class LogsQuery(Input):
    follow = serializers.BooleanField(default=False, help_text="Go on with server-sent events.")
    tail = serializers.IntegerField(
        min_value=0, max_value=MOST_TAIL, default=100, help_text="Old lines of each container to begin with."
    )
    service = serializers.CharField(required=False, help_text="One service alone.")
    container = serializers.CharField(required=False, help_text="One container alone, by its id.")


class NodeInput(Input):
    name = serializers.CharField(max_length=200)
    zone = serializers.CharField(max_length=40, required=False, allow_blank=True)
    labels = TextMap(required=False)


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


class TokenInput(Input):
    name = serializers.CharField(max_length=100)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
