"""The log page: whose lines it asks the API for, and how one comes to it."""

from __future__ import annotations

import html
import re

import pytest
from django.utils import timezone

from console.workloads.models import Container
from tests import factories
from tests.web.conftest import Visitors

PAGE = "/t/ours/apps/shop/logs/"


@pytest.fixture
def gone(people: Visitors) -> Container:
    """A container that ended and is on no node any more; another one runs in its slot."""
    app, node = factories.make_app(people.access, "shop"), factories.make_node("n1")
    now = timezone.now()
    made = factories.make_container(
        app, node, state="failed", exit_code=3, ended_at=now, removed_at=now, log_lost="the disk is full"
    )
    factories.make_container(app, node, oom_events=2)
    return made


def _stream(page: str) -> str:
    found = re.search(r'data-logs="([^"]*)"', page)
    assert found
    return html.unescape(found[1])


def test_the_page_asks_for_what_its_address_names(people: Visitors, gone: Container) -> None:
    base = "/api/v1/teams/ours/apps/shop/logs?follow=1&tail=200"
    for query, stream in (
        ("", base),
        ("?service=web", f"{base}&service=web"),
        ("?service=web&slot=1&ended=1", f"{base}&service=web&slot=1"),
        ("?service=web&slot=x", f"{base}&service=web"),
        (f"?container={gone.id}", f"{base}&container={gone.id}"),
    ):
        page = people.viewer.get(PAGE + query).content.decode()
        assert _stream(page) == stream
        assert ('value="1"\n' in page and "checked" in page) == ("ended" in query)


def test_an_ended_containers_log_is_a_page_of_its_own(people: Visitors, gone: Container) -> None:
    page = people.viewer.get(f"{PAGE}?container={gone.id}").content.decode()
    assert "web.1 · g1 · n1 · Failed" in page
    assert 'name="ended"' not in page
    link = f'href="{PAGE}?container={gone.id}"'
    for address in ("/t/ours/apps/shop/", "/t/ours/apps/shop/services/web/slots/1/"):
        assert link in people.viewer.get(address).content.decode()


def test_a_container_of_another_app_or_team_is_not_found(people: Visitors, gone: Container) -> None:
    other = factories.make_container(factories.make_app(people.access, "other"), factories.make_node())
    for id_ in (other.id, "nothing"):
        assert people.viewer.get(f"{PAGE}?container={id_}").status_code == 404
    assert people.stranger.get(f"{PAGE}?container={gone.id}").status_code == 404


def test_warnings_stand_by_the_container(people: Visitors, gone: Container) -> None:
    page = people.viewer.get("/t/ours/apps/shop/services/web/slots/1/").content.decode()
    assert "2 processes ran out of memory" in page
    assert f"{PAGE}?service=web&amp;slot=1&amp;ended=1" in page.replace("&slot", "&amp;slot").replace(
        "&ended", "&amp;ended"
    )
    Container.objects.filter(generation=2).delete()
    page = people.viewer.get("/t/ours/apps/shop/").content.decode()
    assert "Its log was not kept: the disk is full." in page
