from __future__ import annotations

import re

from console.accounts.models import ApiToken
from console.accounts.secrets import digest
from console.images.models import RegistryCredential
from tests.web.conftest import Visitors

LOGIN = {"host": "registry.example.com", "username": "robot", "password": "hunter2hunter2"}


def test_a_token_is_shown_once(people: Visitors) -> None:
    answer = people.viewer.post("/t/ours/settings/tokens/", {"name": "CI", "days": "30"})
    found = re.search(r'id="token-secret">([^<]+)<', answer.content.decode())
    assert found
    assert ApiToken.objects.get().digest == digest(found[1])
    assert "no-store" in answer.headers["Cache-Control"]
    assert found[1] not in people.viewer.get("/t/ours/settings/").content.decode()


def test_a_token_needs_a_name(people: Visitors) -> None:
    answer = people.owner.post("/t/ours/settings/tokens/", {"name": "  ", "days": "30"})
    assert answer.status_code == 422
    assert 'id="id_name-error"' in answer.content.decode()
    assert ApiToken.objects.count() == 0


def test_only_ones_own_token_is_revoked(people: Visitors) -> None:
    people.viewer.post("/t/ours/settings/tokens/", {"name": "CI", "days": "0"})
    token = ApiToken.objects.get()
    assert people.developer.post(f"/t/ours/settings/tokens/{token.id}/revoke/").status_code == 404
    assert ApiToken.objects.count() == 1
    people.viewer.post(f"/t/ours/settings/tokens/{token.id}/revoke/")
    assert ApiToken.objects.count() == 0


def test_a_registry_login_is_write_only_and_the_owners(people: Visitors) -> None:
    assert people.developer.post("/t/ours/settings/registries/", LOGIN).status_code == 403
    assert people.owner.post("/t/ours/settings/registries/", LOGIN).status_code == 302
    stored = RegistryCredential.objects.get()
    page = people.owner.get("/t/ours/settings/").content.decode()
    assert ("registry.example.com" in page, LOGIN["password"] in page) == (True, False)
    assert people.developer.post(f"/t/ours/settings/registries/{stored.id}/delete/").status_code == 403
    people.owner.post(f"/t/ours/settings/registries/{stored.id}/delete/")
    assert RegistryCredential.objects.count() == 0


def test_a_wrong_login_is_said_at_the_field(people: Visitors) -> None:
    answer = people.owner.post("/t/ours/settings/registries/", {**LOGIN, "host": "not a host"})
    assert answer.status_code == 422
    assert 'id="id_host-error"' in answer.content.decode()
    assert RegistryCredential.objects.count() == 0


def test_how_long_logs_are_kept_is_the_owners_to_set(people: Visitors) -> None:
    assert "for 7 days" in people.viewer.get("/t/ours/settings/").content.decode()
    address = "/t/ours/settings/logs/"
    assert people.developer.post(address, {"log_days": "1"}).status_code == 403
    answer = people.owner.post(address, {"log_days": "366"})
    assert answer.status_code == 422
    assert 'id="id_log_days-error"' in answer.content.decode()
    assert people.owner.post(address, {"log_days": "0"}).status_code == 302
    assert "Not kept" in people.viewer.get("/t/ours/settings/").content.decode()
