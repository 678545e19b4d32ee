"""Every field of every model, with a value that somebody would like it to have."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldError
from django.db import models

from console.accounts.enums import every_verb
from tests.matrix.world import World

LONG_AGO = "2000-01-01T00:00:00Z"
_WANTED: dict[str, Any] = {
    "role": "owner",
    "verbs": every_verb(),
    "state": "ready",
    "is_active": False,
    "present": False,
    "password": "plain",
    "email": "evil@example.com",
    "number": 1,
    "name": "evil",
    "slug": "evil",
    "administrator": True,
    "is_superuser": True,
    "owner": True,
    "app": "",
}
"""By name, where the kind of the field says too little; and names that other systems' models have."""


@cache
def fields(world: World) -> dict[str, Any]:
    """By name, as JSON takes them. Whatever points at a row points at the other team's, or its owner's."""
    found = {
        name: _value(field, world)
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.concrete_fields
        for name in (field.name, field.attname)
    }
    names = world.away.names
    ours = {
        "id": world.away.app.pk,
        "pk": world.away.app.pk,
        "team_slug": names["team"],
        "app_id": world.away.app.pk,
        "node_id": names["node"],
        "container_id": names["container"],
        "token_id": names["token"],
        "registry_id": names["registry"],
    }
    return found | _WANTED | ours


def _value(field: models.Field[Any, Any], world: World) -> Any:
    match field:
        case models.ForeignKey():
            return _row_of(field.related_model, world)
        case models.BooleanField():
            return True
        case models.DateTimeField():
            return LONG_AGO
        case models.IntegerField():
            return 999_999
        case models.JSONField():
            return {"evil": "yes"}
        case _:
            limit = field.max_length or 64
            return "f" * min(limit, 64) if "digest" in field.name or "hash" in field.name else "evil"


def _row_of(model: Any, world: World) -> Any:
    """Key of the other team's row of this kind; of a kind that no team has, any row's."""
    away = world.away.owner
    if model is type(away.team):
        return away.team.pk
    if model is type(away.user):
        return away.user.pk
    for path in ("team", "app__team", "release__app__team", "service__app__team", "secret__team"):
        with suppress(FieldError):  # it has no such path
            found = model._base_manager.filter(**{path: away.team}).values_list("pk", flat=True).first()
            if found is not None:
                return found
    return model._base_manager.values_list("pk", flat=True).first() or 1
