from __future__ import annotations

import pytest
from django.test import Client

from console.accounts.access import Access
from console.accounts.enums import Role
from console.accounts.models import Quota
from console.workloads.models import Secret
from tests import factories

VALUE = "canary-of-a-page"
TEAM, APP = "/t/home/settings/secrets/", "/t/home/apps/shop/secrets/"


@pytest.fixture
def owner(db: None) -> Access:
    access = factories.make_member(factories.make_team("home"))
    factories.make_app(access, "shop")
    return access


def client_of(access: Access) -> Client:
    client = Client()
    client.force_login(access.user)
    return client


@pytest.mark.parametrize("path", [TEAM, APP])
def test_a_value_is_stored_and_never_shown(owner: Access, path: str) -> None:
    client = client_of(owner)
    answer = client.post(path, {"name": "password", "value": VALUE}, follow=True)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert ("password" in page, VALUE in page) == (True, False)
    wrong = client.post(path, {"name": "../x", "value": VALUE})
    assert (wrong.status_code, VALUE in wrong.content.decode()) == (422, False)
    assert Secret.objects.count() == 1
    assert client.post(f"{path}password/delete/").status_code == 302
    assert not Secret.objects.exists()


def test_who_may_not(owner: Access) -> None:
    viewer = client_of(factories.make_member(owner.team, Role.VIEWER))
    developer = client_of(factories.make_member(owner.team, Role.DEVELOPER))
    stranger = client_of(factories.make_member(factories.make_team("away")))
    given = {"name": "password", "value": VALUE}
    assert "Store a secret" not in viewer.get(APP).content.decode()
    assert viewer.post(APP, given).status_code == 403
    assert developer.post(TEAM, given).status_code == 403
    assert developer.post(APP, given).status_code == 302
    for path in (TEAM, APP):
        assert stranger.get(path).status_code == 404


def test_what_is_used_is_there_before_an_app_is_made(owner: Access) -> None:
    Quota.objects.create(team=owner.team, apps=3)
    client = client_of(owner)
    for path in (TEAM, "/t/home/apps/new/", "/t/home/apps/new/compose/"):
        page = client.get(path).content.decode()
        assert "1 of 3" in page, path
        assert "no limit" in page
