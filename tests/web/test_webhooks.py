from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.utils import timezone

from console.webhooks import services
from console.webhooks.delivering import claim, settle
from console.webhooks.models import Delivery, Webhook
from console.webhooks.sending import Answer
from tests import factories
from tests.web.conftest import Visitors
from tests.web.test_team_pages import Elements

LIST = "/t/ours/settings/webhooks/"
HOOK = {"name": "chat", "url": "https://example.com/hooks/berth", "kinds": "app, node.down"}


def make(people: Visitors) -> Webhook:
    return services.create_webhook(people.access, name="chat", url=HOOK["url"])[0]


def test_a_webhook_is_made_and_its_secret_shown_once(people: Visitors) -> None:
    app = factories.make_app(people.access, "shop")
    answer = people.owner.post(LIST, {**HOOK, "apps": [app.pk], "warnings_only": "on"})
    found = re.search(r'id="webhook-secret">(whsec_[^<]+)<', answer.content.decode())
    assert found
    assert "no-store" in answer.headers["Cache-Control"]
    webhook = Webhook.objects.get()
    assert (webhook.kinds, webhook.apps, webhook.warnings_only) == (["app", "node.down"], [app.pk], True)
    for path in (LIST, f"{LIST}{webhook.pk}/"):
        page = people.owner.get(path).content.decode()
        assert ("chat" in page, found[1] in page) == (True, False)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "http://example.com/"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"kinds": "App!"}, "kinds"),
        ({"name": " "}, "name"),
    ],
)
def test_what_is_wrong_is_said_at_the_field(people: Visitors, change: dict[str, str], field: str) -> None:
    webhook = make(people)
    for path in (LIST, f"{LIST}{webhook.pk}/"):
        answer = people.owner.post(path, {**HOOK, **change})
        assert answer.status_code == 422
        assert f'id="id_{field}-error"' in answer.content.decode()
    assert Webhook.objects.get().name == "chat"


def test_they_are_the_owners(people: Visitors) -> None:
    webhook = make(people)
    delivery = services.ping(people.access, webhook)
    page = f"{LIST}{webhook.pk}/"
    for path in (LIST, page):
        assert people.developer.get(path).status_code == people.viewer.get(path).status_code == 403
        assert people.stranger.get(path).status_code == 404
        assert people.nobody.get(path).status_code == 302
    actions = [LIST, page, *(f"{page}{name}/" for name in ("active", "delete", "rotate", "ping"))]
    for path in (*actions, f"{page}{delivery.pk}/redeliver/"):
        assert people.developer.post(path, HOOK).status_code == 403, path
        assert people.stranger.post(path, HOOK).status_code == 404, path
    assert "Webhooks" not in people.viewer.get("/t/ours/settings/").content.decode()
    assert (Webhook.objects.count(), Delivery.objects.count()) == (1, 1)


def test_the_log_says_how_deliveries_went(people: Visitors) -> None:
    webhook = make(people)
    page = f"{LIST}{webhook.pk}/"
    people.owner.post(f"{page}ping/")
    (delivery,) = claim(1)
    settle(delivery, Answer("status", "", 502, "<b>bad</b>", 17))
    text = people.owner.get(page).content.decode()
    for wanted in ("webhook.pinged", "502", "17 ms", "1 attempt", "The answer was no success", "Waiting"):
        assert wanted in text, wanted
    assert "&lt;b&gt;bad&lt;/b&gt;" in text
    assert "The last deliveries failed" in text
    assert "webhook.pinged" not in people.owner.get(f"{page}?state=delivered").content.decode()
    assert "webhook.pinged" in people.owner.get(f"{page}?state=pending&page=x").content.decode()
    people.owner.post(f"{page}{delivery.pk}/redeliver/")
    delivery.refresh_from_db()
    assert (delivery.attempts, delivery.state) == (0, "pending")
    Webhook.objects.update(busy_until=timezone.now())
    (again,) = claim(1)
    settle(again, Answer("gone", "", 410))
    text = people.owner.get(page).content.decode()
    assert "Disabled: nothing is sent any more" in text
    assert "The receiver answered 410 (Gone)." in text
    people.owner.post(f"{page}active/", {"active": "1"})
    assert Webhook.objects.get().active


def test_they_are_pages_like_all_others(people: Visitors) -> None:
    """Unique ids, labels that lead somewhere, live regions that come alone, icons that are there."""
    webhook = make(people)
    services.ping(people.access, webhook)
    sprite = Path(str(finders.find("icons.svg"))).read_text()
    for path in (LIST, f"{LIST}{webhook.pk}/"):
        elements = Elements(people.owner.get(path).content.decode()).found
        ids = [name for _tag, attrs in elements if (name := attrs.get("id"))]
        assert sorted(ids) == sorted(set(ids))
        assert {attrs["for"] for tag, attrs in elements if tag == "label" and "for" in attrs} <= set(ids)
        icons = {(attrs["href"] or "").partition("#")[2] for tag, attrs in elements if tag == "use"}
        assert [name for name in icons if f'id="{name}"' not in sprite] == []
        regions = [attrs["id"] or "" for _tag, attrs in elements if "data-live" in attrs]
        assert regions
        for region in regions:
            headers = {"HX-Request": "true", "HX-Target": region}
            part = people.owner.get(path, headers=headers).content.decode()
            assert (Elements(part).found[0][1]["id"], "<html" in part) == (region, False)


def test_pages_of_the_log_follow_each_other(people: Visitors) -> None:
    webhook = make(people)
    for _each in range(27):
        services.ping(people.access, webhook)
    first = people.owner.get(f"{LIST}{webhook.pk}/").content.decode()
    second = people.owner.get(f"{LIST}{webhook.pk}/?page=1").content.decode()
    assert (first.count("webhook-id:"), second.count("webhook-id:")) == (25, 2)


def test_it_is_changed_rotated_and_deleted(people: Visitors) -> None:
    webhook = make(people)
    page = f"{LIST}{webhook.pk}/"
    assert people.owner.post(page, {**HOOK, "name": "pager"}).status_code == 302
    assert Webhook.objects.get().name == "pager"
    people.owner.post(f"{page}active/", {"active": "0"})
    assert not Webhook.objects.get().active
    rotated = people.owner.post(f"{page}rotate/", {"overlap_hours": "24"})
    assert "whsec_" in rotated.content.decode()
    assert webhook.secrets.count() == 2
    assert people.owner.post(f"{page}rotate/", {"overlap_hours": "9"}).status_code == 422
    assert people.owner.post(f"{page}delete/").status_code == 302
    assert not Webhook.objects.exists()
    assert people.owner.get(page).status_code == 404
