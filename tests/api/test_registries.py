from __future__ import annotations

from console.images.models import RegistryCredential
from console.images.services import password_of
from tests.api.caller import People

REGISTRIES = "/teams/home/registries"
LOGIN = {"host": "registry.example.com", "username": "ci", "password": "canary-7f3a "}


def test_a_password_goes_in_and_never_out(people: People) -> None:
    made = people.owner.post(REGISTRIES, LOGIN)
    assert made.status == 201
    listed = people.viewer.get(REGISTRIES)
    assert listed.body["items"] == [made.body]
    assert set(made.body) == {"id", "host", "username", "created_at"}
    assert "canary" not in str((made, listed, people.viewer.get("/teams/home/events")))
    stored = RegistryCredential.objects.get()
    assert password_of(stored) == "canary-7f3a "
    assert b"canary" not in bytes(stored.sealed_password)


def test_only_owners_change_logins(people: People) -> None:
    assert people.developer.post(REGISTRIES, LOGIN).error["code"] == "forbidden"
    stored = people.owner.post(REGISTRIES, LOGIN).body["id"]
    assert people.developer.delete(f"{REGISTRIES}/{stored}").status == 403
    people.assert_outside("GET", REGISTRIES)
    people.assert_outside("POST", REGISTRIES, LOGIN)
    people.assert_outside("DELETE", f"{REGISTRIES}/{stored}")
    assert people.owner.delete(f"{REGISTRIES}/{stored}").status == 204
    assert people.owner.delete(f"{REGISTRIES}/{stored}").status == 404
    assert RegistryCredential.objects.count() == 0


def test_wrong_logins_name_the_field(people: People) -> None:
    people.owner.post(REGISTRIES, LOGIN)
    for change, status, field in (
        ({"host": "https://x"}, 400, "host"),
        ({}, 409, "host"),
        ({"host": "other", "username": ""}, 400, "username"),
        ({"host": "other", "password": None}, 400, "password"),
    ):
        answer = people.owner.post(REGISTRIES, {**LOGIN, **change})
        assert (answer.status, list(answer.error["fields"])) == (status, [field]), change
