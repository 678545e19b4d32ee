from __future__ import annotations

import pytest

from console.workloads.models import App, Volume
from tests import factories
from tests.web.conftest import Visitors

PAGE = "/t/ours/volumes/"


@pytest.fixture
def volume(people: Visitors) -> Volume:
    app = factories.make_app(people.access, "shop")
    return factories.make_volume(app, factories.make_node("n1"), bytes=3 << 20)


def test_the_list_names_app_node_and_size(people: Visitors, volume: Volume) -> None:
    text = people.viewer.get(PAGE).content.decode()
    for word in ("data", "shop", "n1", "3 MiB"):
        assert word in text


def test_the_page_says_why_it_cannot_be_deleted(people: Visitors, volume: Volume) -> None:
    page = people.owner.get(f"{PAGE}{volume.id}/").content.decode()
    assert "mounts it (web)" in page
    assert 'data-open="delete-volume"' not in page
    App.objects.update(stopped=True)
    assert 'data-open="delete-volume"' in people.developer.get(f"{PAGE}{volume.id}/").content.decode()
    assert 'data-open="delete-volume"' not in people.viewer.get(f"{PAGE}{volume.id}/").content.decode()
    assert people.stranger.get(f"{PAGE}{volume.id}/").status_code == 404


def test_its_name_is_typed_to_delete_it(people: Visitors, volume: Volume) -> None:
    App.objects.update(stopped=True)
    place = f"{PAGE}{volume.id}/delete/"
    answer = people.developer.post(place, {"confirm": "Data"}, follow=True)
    assert "Type the volume" in answer.content.decode()
    assert Volume.objects.filter(deleting=True).count() == 0
    assert people.viewer.post(place, {"confirm": "data"}).status_code == 403
    assert people.developer.post(place, {"confirm": "data"}).headers["location"] == PAGE
    assert Volume.objects.filter(deleting=True).count() == 1
    assert "Being deleted" in people.viewer.get(PAGE).content.decode()
