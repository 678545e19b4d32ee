from __future__ import annotations

import pytest
from django.test import Client

from console.accounts.services import create_sign_in_link
from console.common.models import AuditEntry
from tests import factories

pytestmark = pytest.mark.django_db


def test_sign_ins_good_and_refused_are_rows_with_where_from() -> None:
    user = factories.make_user("ann@example.com")
    user.set_password("a long password")
    user.save()
    client = Client(REMOTE_ADDR="192.0.2.7", headers={"user-agent": "Browser/1"})
    client.post("/sign-in/", {"login": "ann@example.com", "password": "canary-wrong"})
    client.post("/sign-in/", {"login": "ann@example.com", "password": "a long password"})
    client.post("/sign-out/")
    rows = AuditEntry.objects.order_by("id")
    assert [(row.kind, row.actor) for row in rows] == [
        ("session.refused", "ann@example.com"),
        ("session.opened", "ann@example.com"),
        ("session.closed", "ann@example.com"),
    ]
    assert {(row.address, row.agent) for row in rows} == {("192.0.2.7", "Browser/1")}
    assert "canary" not in str([(row.message, row.data) for row in rows])


def test_a_one_time_link_is_two_rows() -> None:
    link = create_sign_in_link(factories.make_user("ann@example.com"))
    Client().post(f"/sign-in/{link}/")
    kinds = AuditEntry.objects.order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["link.created", "link.used", "session.opened"]
    assert link not in str(list(AuditEntry.objects.values()))
