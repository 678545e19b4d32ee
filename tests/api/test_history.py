from __future__ import annotations

from console.common import events
from tests import factories
from tests.api.caller import People

SHOP = "/teams/home/apps/shop"


def test_operations_of_an_app_and_those_that_run(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    people.owner.post(f"{SHOP}/services/web/scale", {"replicas": 2})
    people.owner.post(f"{SHOP}/releases", {"compose": factories.COMPOSE})
    listed = people.viewer.get("/teams/home/operations?app=shop").body["items"]
    assert [(one["kind"], one["state"]) for one in listed] == [
        ("deploy", "running"),
        ("scale", "running"),
        ("deploy", "superseded"),
    ]
    assert listed[0]["app"] == {"id": app.id, "name": "shop"}
    running = people.viewer.get("/teams/home/operations?state=running").body["items"]
    assert [one["id"] for one in running] == [listed[0]["id"], listed[1]["id"]]
    assert people.viewer.get("/teams/home/operations?app=other").status == 404
    assert list(people.viewer.get("/teams/home/operations?ap=shop").error["fields"]) == ["ap"]
    people.assert_outside("GET", "/teams/home/operations")


def test_an_operation_is_its_teams_own(people: People) -> None:
    operation = factories.operation_of(factories.make_app(people.access, "shop"))
    body = people.viewer.get(f"/teams/home/operations/{operation.id}").body
    assert (body["id"], body["state"], body["error"], body["ended_at"]) == (operation.id, "running", "", None)
    assert [step["text"] for step in body["steps"]] == ["Release 1 made"]
    people.assert_outside("GET", f"/teams/home/operations/{operation.id}")
    theirs = factories.operation_of(factories.make_app(factories.make_member(factories.make_team())))
    assert people.owner.get(f"/teams/home/operations/{theirs.id}").status == 404


def test_events_go_back_page_by_page(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    for number in range(5):
        events.record("test", f"event {number}", actor="test", team=app.team_id, app=app.id)
    first = people.viewer.get(f"{SHOP}/events?limit=3").body
    assert [event["message"] for event in first["items"]] == ["event 4", "event 3", "event 2"]
    assert first["next"].startswith(f"/api/v1{SHOP}/events?limit=3&cursor=")
    events.record("test", "event 5", actor="test", team=app.team_id, app=app.id)
    second = people.viewer.get(first["next"].removeprefix("/api/v1")).body
    assert [event["message"] for event in second["items"]][:2] == ["event 1", "event 0"]
    last = people.viewer.get(f"{SHOP}/events").body
    assert (len(last["items"]), last["next"]) == (8, None)
    people.assert_outside("GET", f"{SHOP}/events")


def test_a_teams_events_hold_the_nodes_but_no_other_teams(people: People) -> None:
    factories.make_app(factories.make_member(factories.make_team()), "theirs")
    factories.make_app(people.access, "shop")
    node = factories.make_node("n1")
    listed = people.viewer.get("/teams/home/events").body["items"]
    assert listed[0]["node"] == node.id
    assert [event["message"] for event in listed if "App" in event["message"]] == ["App shop created"]
    people.assert_outside("GET", "/teams/home/events")


def test_events_are_chosen_by_kind_warning_and_time(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    node = factories.make_node("n1")
    events.record("node.down", "n1 is down", actor="test", node=node.id, warning=True)
    wanted = [
        ("kind=node.down", ["n1 is down"]),
        ("kind=app", ["Release 1 made", "App shop created"]),
        ("kind=ap", []),
        ("warning=true", ["n1 is down"]),
        ("node=n1&warning=true", ["n1 is down"]),
        (f"app={app.id}", ["Release 1 made", "App shop created"]),
        ("since=2100-01-01T00:00:00Z", []),
        ("until=2000-01-01T00:00:00Z", []),
    ]
    for query, messages in wanted:
        listed = people.viewer.get(f"/teams/home/events?{query}").body["items"]
        assert [event["message"] for event in listed] == messages, query
    assert people.viewer.get("/teams/home/events?app=none").status == 404


def test_wrong_pages_name_the_field(people: People) -> None:
    for query in ("cursor=x", "cursor=W10", "cursor=WyJhIl0", "limit=0", "limit=201", "before=3"):
        answer = people.viewer.get(f"/teams/home/events?{query}")
        assert (answer.status, list(answer.error["fields"])) == (400, [query.partition("=")[0]])


def test_a_restart_is_cancelled_and_a_scale_is_not(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    restart = people.owner.post(f"{SHOP}/restart").body["operation"]["id"]
    assert app.services.exclude(restart_at=None).exists()
    cancel = f"/teams/home/operations/{restart}/cancel"
    assert people.viewer.post(cancel).status == 403
    done = people.developer.post(cancel)
    assert (done.status, done.body["operation"]["state"]) == (202, "superseded")
    assert not app.services.exclude(restart_at=None).exists()
    again = people.developer.post(cancel)
    assert (again.status, again.error["code"], again.error["data"]) == (
        409,
        "not_cancellable",
        {"operation": restart},
    )
    scale = people.owner.post(f"{SHOP}/services/web/scale", {"replicas": 2}).body["operation"]["id"]
    assert people.owner.post(f"/teams/home/operations/{scale}/cancel").error["code"] == "not_cancellable"
    people.assert_outside("POST", cancel)


def test_cancelling_a_rollout_goes_back(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    first = factories.operation_of(app)
    refused = people.owner.post(f"/teams/home/operations/{first.id}/cancel")
    assert (refused.status, refused.error["code"]) == (409, "no_earlier_release")
    factories.make_ready(app.releases.get())
    app.rollouts.update(state="succeeded")
    second = people.owner.post(f"{SHOP}/releases", {"compose": factories.COMPOSE}).body["operation"]["id"]
    answer = people.owner.post(f"/teams/home/operations/{second}/cancel")
    assert (answer.status, answer.body["operation"]["kind"]) == (202, "rollback")
