"""Models of which the controller reads rows in each step, many of them by the hundred."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

from django.db.models.base import ModelState


class QuickRows:
    """A base, before `Model`, for objects that are made of the database's values at once. Django's own way sets one
    attribute after another and sends two signals, which here nobody hears: most of the time that such a read takes."""

    @classmethod
    def from_db(
        cls, db: str | None, field_names: Collection[str], values: Collection[Any], **_more: Any
    ) -> Self:
        """As `Model.from_db`: the values of these fields, in their order; the others are deferred."""
        made, state = cls.__new__(cls), ModelState()
        state.db, state.adding = db, False
        vars(made).update(zip(field_names, values, strict=True), _state=state)
        return made
