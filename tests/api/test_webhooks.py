from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from console.common.models import Event
from console.webhooks.delivering import claim, settle
from console.webhooks.models import Delivery, Webhook
from console.webhooks.routing import route
from console.webhooks.sending import Answer
from console.webhooks.services import MOST_WEBHOOKS
from tests import factories
from tests.api.caller import Answer as Response
from tests.api.caller import People

HOOKS = "/teams/home/webhooks"
HOOK = {"name": "chat", "url": "https://example.com/hooks/berth?key=canary", "kinds": ["app"]}


def make(people: People, **given: Any) -> str:
    made = people.owner.post(HOOKS, {**HOOK, **given})
    assert made.status == 201, made.body
    return f"{HOOKS}/{made.body['webhook']['id']}"


def patch(people: People, path: str, body: Any, **headers: str) -> Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return people.owner.send("PATCH", path, body, headers=names)


def test_a_secret_is_shown_once(people: People) -> None:
    made = people.owner.post(HOOKS, HOOK)
    assert set(made.body) == {"webhook", "secret"}
    assert made.body["secret"].startswith("whsec_")
    one = people.owner.get(f"{HOOKS}/{made.body['webhook']['id']}")
    assert people.owner.get(HOOKS).body["items"] == [one.body] == [made.body["webhook"]]
    assert {**HOOK, "apps": None, "active": True, "state": "active"}.items() <= one.body.items()
    told = str(
        (one.body, people.viewer.get("/teams/home/events").body, people.owner.get("/teams/home/audit").body)
    )
    assert made.body["secret"] not in told
    assert "canary" not in str(people.viewer.get("/teams/home/events").body)


def test_webhooks_are_the_owners(people: People) -> None:
    path = make(people)
    sent = people.owner.post(f"{path}/ping").body["id"]
    paths = [
        ("GET", HOOKS, None),
        ("POST", HOOKS, HOOK),
        ("GET", path, None),
        ("PATCH", path, {"active": False}),
        ("DELETE", path, None),
        ("POST", f"{path}/rotate", {}),
        ("POST", f"{path}/ping", {}),
        ("GET", f"{path}/deliveries", None),
        ("GET", f"{path}/deliveries/{sent}", None),
        ("POST", f"{path}/deliveries/{sent}/redeliver", {}),
    ]
    for method, address, body in paths:
        for caller in (people.developer, people.viewer):
            assert caller.send(method, address, body).status == 403, (method, address)
        people.assert_outside(method, address, body)
    assert people.owner.get(f"{HOOKS}/nothing").status == 404
    other = make(people, name="other")
    assert people.owner.get(f"{other}/deliveries/{sent}").status == 404, "it is another webhook's"
    assert people.owner.delete(path).status == 204
    assert people.owner.get(path).status == 404


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "example.com/hooks"}, "url"),
        ({"url": "http://example.com/"}, "url"),
        ({"url": "https://user:password@example.com/"}, "url"),
        ({"url": "https://exa mple.com/"}, "url"),
        ({"url": "https://example.com:99999/"}, "url"),
        ({"url": "https:///x"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "url"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "url"),
        ({"url": "https://example.com/" + "x" * 2000}, "url"),
        ({"kinds": ["App"]}, "kinds"),
        ({"kinds": ["app."]}, "kinds"),
        ({"kinds": "app"}, "kinds"),
        ({"kinds": [f"k{'x' * number}" for number in range(51)]}, "kinds"),
        ({"apps": []}, "apps"),
        ({"secret": "whsec_own"}, "secret"),
        ({"team": "away"}, "team"),
        ({"created_by": "eve"}, "created_by"),
    ],
)
def test_wrong_ones_name_the_field(people: People, change: dict[str, Any], field: str) -> None:
    path = make(people)
    for answer in (people.owner.post(HOOKS, {**HOOK, **change}), patch(people, path, change)):
        named = {name.partition(".")[0] for name in answer.error["fields"]}
        assert (answer.status, named) == (400, {field}), answer.body
    assert Webhook.objects.count() == 1


def test_plain_http_where_the_operator_names_networks(people: People, settings: Settings) -> None:
    settings.WEBHOOK_NETWORKS = ["10.0.0.0/8"]
    make(people, url="http://10.1.2.3:8080/x")
    assert people.owner.post(HOOKS, {**HOOK, "url": "https://192.168.0.1/"}).status == 400


def test_apps_by_name(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    path = make(people, apps=["shop"])
    assert people.owner.get(path).body["apps"] == [app.pk]
    assert people.owner.post(HOOKS, {**HOOK, "apps": ["nothing"]}).status == 404
    assert patch(people, path, {"apps": None}).body["apps"] is None


def test_a_change_takes_what_is_given(people: People) -> None:
    path = make(people)
    changed = patch(people, path, {"active": False, "description": "For the night"})
    assert (changed.status, changed.body["state"], changed.body["name"]) == (200, "paused", "chat")
    assert changed.body["description"] == "For the night"
    event = Event.objects.get(kind="webhook.changed")
    assert event.data["before"] == {"active": True, "description": ""}
    assert event.data["after"] == {"active": False, "description": "For the night"}
    patch(people, path, {"active": False})
    assert Event.objects.filter(kind="webhook.changed").count() == 1, "nothing changed"
    assert patch(people, path, {"description": "By day"}).body["description"] == "By day"
    assert people.owner.get(path).body["description"] == "By day"
    patch(people, path, {"url": "https://example.com/other"})
    told = Event.objects.filter(kind="webhook.changed").latest("id").data
    assert (told["address_changed"], told["before"] == told["after"]) == (True, True)
    refused = people.owner.post(f"{path}/ping")
    assert (refused.status, refused.error["code"]) == (409, "webhook_inactive")


def test_writes_are_conditional_made_once_and_tried(people: People) -> None:
    tried = people.owner.post(f"{HOOKS}?dry_run=true", HOOK)
    assert (tried.status, tried.body["events"]) == (200, ["Webhook “chat” created"])
    assert "whsec_" not in str(tried.body)
    assert not Webhook.objects.exists()
    path = make(people)
    tag = people.owner.get(path).headers["ETag"]
    assert patch(people, path, {"name": "first"}, If_Match=tag).status == 200
    assert patch(people, path, {"name": "second"}, If_Match=tag).status == 412
    tag = people.owner.get(path).headers["ETag"]
    Webhook.objects.update(delivered_at="2026-01-01T00:00:00Z")
    assert patch(people, path, {"name": "third"}, If_Match=tag).status == 200, "a delivery is no change"
    headers = {"Idempotency-Key": "k1"}
    first, second = (people.owner.send("POST", f"{path}/rotate", {}, headers=headers) for _ in range(2))
    assert first.body == second.body
    assert second.headers["Idempotency-Replayed"] == "true"


@pytest.mark.thorough
def test_a_team_has_so_many_at_most(people: People) -> None:
    for number in range(MOST_WEBHOOKS):
        make(people, name=str(number))
    answer = people.owner.post(HOOKS, HOOK)
    assert (answer.status, answer.error["code"]) == (409, "too_many_webhooks")


def test_deliveries_are_listed_shown_and_sent_again(people: People) -> None:
    path = make(people, kinds=["webhook"])
    people.owner.post(f"{path}/ping")
    route()
    for answer in (Answer("status", "", 500, "no", 12), Answer("", "", 200, "thanks", 34)):
        (delivery,) = claim(1)
        settle(delivery, answer)
    log = people.owner.get(f"{path}/deliveries?limit=1")
    assert len(log.body["items"]) == 1
    rest = people.owner.get(log.body["next"].removeprefix("/api/v1"))
    items = {one["kind"]: one for one in log.body["items"] + rest.body["items"]}
    assert set(items) == {"webhook.pinged", "webhook.created"}
    (failed,) = people.owner.get(f"{path}/deliveries?state=pending").body["items"]
    assert (failed["attempts"], failed["status"], failed["milliseconds"], failed["failure"]) == (
        1,
        500,
        12,
        "status",
    )
    assert people.owner.get(f"{path}/deliveries?state=nothing").status == 400
    assert people.owner.get(f"{path}/deliveries?kind=webhook.pinged").body["items"] == [
        items["webhook.pinged"]
    ]
    (good,) = people.owner.get(f"{path}/deliveries?state=delivered").body["items"]
    detail = people.owner.get(f"{path}/deliveries/{good['id']}").body
    assert (detail["answer"], detail["body"]) == ("thanks", Delivery.objects.get(pk=good["id"]).body)
    again = people.owner.post(f"{path}/deliveries/{good['id']}/redeliver")
    assert (again.status, again.body["state"], again.body["id"]) == (202, "pending", good["id"])


def test_rotating(people: People) -> None:
    path = make(people)
    first = people.owner.post(f"{path}/rotate", {"overlap_hours": 1})
    assert first.status == 200
    assert set(first.body) == {"webhook", "secret"}
    assert people.owner.post(f"{path}/rotate", {"overlap_hours": 169}).status == 400
