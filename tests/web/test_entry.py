from __future__ import annotations

import re

import pytest
from django.test import Client

from console.accounts.models import User
from console.accounts.services import create_sign_in_link, set_up
from console.common.errors import Conflict
from tests.web.conftest import Visitors

PASSWORD = "a long enough password"


def with_password(people: Visitors) -> User:
    user = people.access.user
    user.set_password(PASSWORD)
    user.save()
    return user


def test_the_root_leads_to_ones_team(people: Visitors) -> None:
    assert people.owner.get("/").headers["location"] == "/t/ours/"
    assert people.nobody.get("/").headers["location"] == "/sign-in/?next=/"


def test_sign_in_with_a_password(people: Visitors) -> None:
    user = with_password(people)
    answer = people.nobody.post(
        "/sign-in/", {"login": user.email.upper(), "password": PASSWORD, "next": "/t/ours/apps/"}
    )
    assert (answer.status_code, answer.headers["location"]) == (302, "/t/ours/apps/")
    assert people.nobody.get("/t/ours/apps/").status_code == 200


def test_a_wrong_password_is_said(people: Visitors) -> None:
    user = with_password(people)
    answer = people.nobody.post("/sign-in/", {"login": user.email, "password": "wrong"})
    assert answer.status_code == 422
    assert "do not belong together" in answer.content.decode()


def test_sign_in_leads_to_no_other_host(people: Visitors) -> None:
    user = with_password(people)
    answer = people.nobody.post(
        "/sign-in/", {"login": user.email, "password": PASSWORD, "next": "https://evil.example/"}
    )
    assert answer.headers["location"] == "/"


def test_a_one_time_link_works_once_and_only_by_post(people: Visitors) -> None:
    address = f"/sign-in/{create_sign_in_link(people.access.user)}/"
    for _look in range(2):
        page = Client().get(address)
        assert page.status_code == 200
        assert people.access.user.email in page.content.decode()
    first = Client()
    assert first.post(address).headers["location"] == "/account/"
    assert first.get("/t/ours/").status_code == 200
    assert Client().post(address).status_code == 404


def test_the_first_owner_sets_name_and_password(people: Visitors) -> None:
    answer = people.owner.post(
        "/account/", {"name": "Ada", "email": "ada@example.com", "password": PASSWORD}, follow=True
    )
    assert answer.redirect_chain[-1][0] == "/t/ours/"
    assert Client().post("/sign-in/", {"login": "ada@example.com", "password": PASSWORD}).status_code == 302


def test_only_the_first_visit_sets_up_an_account(people: Visitors) -> None:
    with_password(people)
    assert 'name="password"' not in people.owner.get("/account/").content.decode()
    with pytest.raises(Conflict):
        set_up(people.access.user, name="", email=people.access.user.email, password="another long password")


def test_a_poor_password_is_said_at_the_field(people: Visitors) -> None:
    answer = people.owner.post("/account/", {"name": "Ada", "email": "ada@example.com", "password": "short"})
    assert answer.status_code == 422
    assert 'id="id_password-error"' in answer.content.decode()


def test_signing_out_ends_the_session(people: Visitors) -> None:
    assert people.owner.get("/sign-out/").status_code == 405
    assert people.owner.post("/sign-out/").headers["location"] == "/sign-in/"
    assert people.owner.get("/t/ours/").status_code == 302


def test_the_language_follows_ones_choice(people: Visitors) -> None:
    people.owner.post("/language/", {"language": "zh-hans", "next": "/t/ours/"})
    page = people.owner.get("/t/ours/").content.decode()
    assert '<html lang="zh-hans"' in page
    assert re.search(r"<h1>概览</h1>", page)


def test_the_theme_follows_the_cookie(people: Visitors) -> None:
    people.owner.cookies["berth_theme"] = "dark"
    assert 'data-theme="dark" data-bs-theme="dark"' in people.owner.get("/t/ours/").content.decode()
    people.owner.cookies["berth_theme"] = '"><script>'
    assert 'data-theme="system">' in people.owner.get("/t/ours/").content.decode()


def test_the_components_page_is_for_administrators(people: Visitors) -> None:
    assert people.owner.get("/components/").status_code == 200
    assert people.viewer.get("/components/").status_code == 404
    assert people.nobody.get("/components/").status_code == 302
