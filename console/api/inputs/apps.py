"""What may be said of apps, their releases and their volumes."""

from __future__ import annotations

from rest_framework import serializers

from console.api.inputs import Input, PageQuery, TextMap
from console.workloads.enums import AppState, ReleaseState
from console.workloads.services import MOST_REPLICAS


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


class DeleteQuery(Input):
    volumes = serializers.ChoiceField(
        choices=("keep", "delete"), default="keep", help_text="What happens to the app's volumes."
    )


class ForgetQuery(Input):
    forget = serializers.BooleanField(
        default=False, help_text="Only strike it out: its node is gone for good. For administrators."
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
