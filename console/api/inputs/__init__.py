"""What requests may say. Serializers only check the form; what it means is checked by the services."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

MOST_ROWS, USUAL_ROWS = 200, 25
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


class NoInput(Input):
    """An empty body, or `{}`."""


class PageQuery(Input):
    """Of every list."""

    limit = serializers.IntegerField(min_value=1, max_value=MOST_ROWS, default=USUAL_ROWS)
    cursor = serializers.CharField(
        max_length=1000, required=False, help_text="Where the page begins, as the one before it says."
    )
