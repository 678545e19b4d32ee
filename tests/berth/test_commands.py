"""The commands against a live console without nodes: what they send, show and exit with."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from berth.app import app_names, node_names
from berth.errors import Exit
from console.accounts.access import Access
from console.accounts.models import Quota
from console.webhooks.models import Webhook
from console.workloads.models import App, Operation, Release, Service, Volume
from tests import factories
from tests.berth.conftest import Run

COMPOSE = "services:\n  web:\n    image: berth/demo:${TAG}\n    env_file: app.env\n"
WITH_VOLUME = "services: {web: {image: berth/demo, volumes: ['data:/data']}}\nvolumes: {data: {}}\n"
GOOD = "services:\n  web:\n    image: berth/demo\n"


def _folder(path: Path) -> None:
    (path / "compose.yml").write_text(COMPOSE)
    (path / ".env").write_text("TAG=1\n# a comment\n")
    (path / "app.env").write_text("COLOUR=red\n")


def test_deploy_sends_the_file_its_variables_and_what_it_names(signed_in: Run, tmp_path: Path) -> None:
    _folder(tmp_path)
    ended = signed_in("deploy", "shop", "--yes", "--detach", "--var", "TAG=2")
    assert ended.code == Exit.OK
    release = Release.objects.get()
    assert (release.variables, release.files) == ({"TAG": "2"}, {"app.env": "COLOUR=red\n"})
    assert release.compose == COMPOSE
    assert ended.out.strip() == Operation.objects.get().id


def test_a_second_deploy_shows_the_difference_and_makes_a_release(signed_in: Run, tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text(GOOD)
    signed_in("deploy", "shop", "-y", "-d")
    (tmp_path / "compose.yml").write_text(GOOD.replace("demo", "demo:2"))
    ended = signed_in("deploy", "shop", "-y", "-d")
    assert "-    image: berth/demo\n+    image: berth/demo:2" in ended.err
    assert list(Release.objects.order_by("number").values_list("number", flat=True)) == [1, 2]


def test_a_dry_run_changes_nothing(signed_in: Run, tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text(GOOD)
    ended = signed_in("deploy", "shop", "--dry-run", "--json")
    told = json.loads(ended.out)
    assert (ended.code, told["new"], told["app"]) == (Exit.OK, True, "shop")
    assert (told["would"]["dry_run"], told["would"]["status"]) == (True, 202)
    assert not App.objects.exists()


def test_a_dry_run_tells_changes_places_and_quota(signed_in: Run, tmp_path: Path, owner: Access) -> None:
    factories.make_node("n1")
    (tmp_path / "compose.yml").write_text(GOOD)
    first = signed_in("deploy", "shop", "--dry-run")
    assert first.code == Exit.OK
    assert re.search(r"^services\.web\.image +- +berth/demo", first.out, re.MULTILINE)
    assert re.search(r"^web +1 +n1×1 +0", first.out, re.MULTILINE)
    assert re.search(r"^containers +0 +1 +no limit", first.out, re.MULTILINE)

    factories.make_app(owner, "shop")
    Quota.objects.create(team=owner.team, containers=40)
    deploy = "deploy: {replicas: 30, placement: {constraints: [node.labels.disk == ssd]}}"
    (tmp_path / "compose.yml").write_text(f"{GOOD}    {deploy}\n")
    more = signed_in("deploy", "shop", "--dry-run")
    assert f"+    {deploy}" in more.err
    assert re.search(r"^web +30 +- +30", more.out, re.MULTILINE)
    assert re.search(r"^services\.web\.replicas +1 +30", more.out, re.MULTILINE)
    assert "web would wait: " in more.err
    assert re.search(r"^containers +1 +30 +40", more.out, re.MULTILINE)
    assert Release.objects.count() == 1


def test_a_dry_run_fails_as_the_deploy_would(signed_in: Run, tmp_path: Path, owner: Access) -> None:
    Quota.objects.create(team=owner.team, containers=0)
    (tmp_path / "compose.yml").write_text(GOOD)
    ended = signed_in("deploy", "shop", "--dry-run")
    assert (ended.code, "quota" in ended.err) == (Exit.INVALID, True)


def test_volumes_are_listed_and_one_is_deleted_behind_a_guard(signed_in: Run, owner: Access) -> None:
    assert "No volumes yet" in signed_in("volumes").err
    app = factories.make_app(owner, "shop", compose=WITH_VOLUME)
    factories.make_ready(app.releases.get())
    made = factories.make_volume(app, factories.make_node("n1"))
    listed = signed_in("volumes").out
    assert (f"shop/{made.name}" in listed, made.id in listed, "n1" in listed) == (True, True, True)
    assert json.loads(signed_in("volumes", "shop", "--json").out)[0]["id"] == made.id
    assert made.id in signed_in("volume", made.id).out
    name = f"shop/{made.name}"
    used = signed_in("volume", name, "delete", "--yes")
    assert (used.code, "Stop the app" in used.err) == (Exit.CONFLICT, True)
    App.objects.update(stopped=True)
    assert signed_in("volume", name, "delete").code == Exit.USAGE
    assert not Volume.objects.get().deleting
    assert signed_in("volume", name, "delete", "--yes", "--detach").code == Exit.OK
    assert Volume.objects.get().deleting
    assert signed_in("volume", "shop/nosuch").code == Exit.NOT_FOUND


@pytest.mark.thorough
def test_webhooks_are_made_tested_and_looked_at(signed_in: Run, owner: Access) -> None:
    assert "No webhooks yet" in signed_in("webhooks").err
    made = signed_in("webhook-add", "chat", "https://example.com/x", "-k", "app", "--warnings")
    assert made.out.startswith("whsec_")
    webhook = Webhook.objects.get()
    assert (webhook.kinds, webhook.warnings_only, webhook.apps) == (["app"], True, None)
    assert "chat" in signed_in("webhooks").out
    sent = json.loads(signed_in("webhook", "chat", "ping", "--json").out)
    log = json.loads(signed_in("webhook", webhook.id, "--json").out)
    assert [one["id"] for one in log["deliveries"]] == [sent["id"]]
    shown = signed_in("webhook", "chat").out
    assert "webhook.pinged" in shown
    assert signed_in("redeliver", "chat", sent["id"]).code == Exit.OK
    assert signed_in("webhook", "chat", "pause").code == Exit.OK
    assert signed_in("webhook", "chat", "ping").code == Exit.CONFLICT
    assert "active" in signed_in("webhook", "chat", "activate").out
    assert signed_in("webhook", "chat", "rotate").out.startswith("whsec_")
    assert signed_in("webhook", "chat", "delete").code == Exit.USAGE
    signed_in("webhook-add", "chat", "https://example.com/y")
    assert webhook.id in signed_in("webhook", "chat").err
    assert signed_in("webhook", webhook.id, "delete", "--yes").code == Exit.OK
    assert signed_in("webhook", webhook.id).code == Exit.NOT_FOUND
    assert signed_in("webhook-add", "x", "http://example.com/").code == Exit.INVALID


def test_two_volumes_of_one_name_are_told_apart_by_id(signed_in: Run, owner: Access) -> None:
    app = factories.make_app(owner, "shop")
    old = factories.make_volume(app, factories.make_node("n1"))
    Volume.objects.update(app=None, kept_at=app.created_at)
    both = [old, factories.make_volume(app, factories.make_node("n2"))]
    ended = signed_in("volume", f"shop/{both[0].name}")
    assert (ended.code, all(one.id in ended.err for one in both)) == (Exit.USAGE, True)


@pytest.mark.parametrize(
    ("compose", "words", "code", "said"),
    [
        ("services:\n  web:\n    image: a\n    privileged: true\n", (), Exit.INVALID, "line 4"),
        ("services: {web: {env_file: none.env, image: a}}", (), Exit.INVALID, "none.env"),
        (GOOD, ("--var", "TAG"), Exit.USAGE, "NAME=value"),
        (GOOD, ("-f", "missing.yml"), Exit.USAGE, "missing.yml"),
    ],
)
def test_wrong_input_is_named(
    signed_in: Run, tmp_path: Path, compose: str, words: tuple[str, ...], code: Exit, said: str
) -> None:
    (tmp_path / "compose.yml").write_text(compose)
    ended = signed_in("deploy", "shop", "-y", *words)
    assert (ended.code, said in ended.err) == (code, True), ended.err
    assert not App.objects.exists()


def test_no_compose_file_is_said(signed_in: Run) -> None:
    assert signed_in("deploy", "shop").code == Exit.USAGE


def test_what_is_not_there_and_what_is_in_the_way_differ(signed_in: Run, owner: Access) -> None:
    assert signed_in("ps", "nosuch").code == Exit.NOT_FOUND
    app = factories.make_app(owner, "shop")
    assert signed_in("rollback", "shop").code == Exit.CONFLICT
    assert signed_in("rollback", "shop", "1").code == Exit.CONFLICT
    assert signed_in("scale", "shop", "web=x").code == Exit.USAGE
    assert signed_in("scale", "shop", "nosuch=1", "-d").code == Exit.NOT_FOUND
    assert signed_in("scale", "shop", "web=3", "-d").code == Exit.OK
    assert Service.objects.get(app=app).replicas == 3


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_an_operation_that_goes_on_is_no_failure(signed_in: Run, owner: Access) -> None:
    factories.make_app(owner, "shop")
    ended = signed_in("restart", "shop/web", "--timeout", "0.1")
    assert (ended.code, "berth wait" in ended.err) == (Exit.TIMEOUT, True)


def test_a_deletion_must_be_said_where_nobody_can_be_asked(signed_in: Run, owner: Access) -> None:
    app = factories.make_app(owner, "shop")
    assert signed_in("delete", "shop").code == Exit.USAGE
    app.refresh_from_db()
    assert not app.deleting
    assert signed_in("delete", "shop", "--yes", "--detach").code == Exit.OK
    app.refresh_from_db()
    assert app.deleting


def test_tables_and_json_say_the_same(signed_in: Run, owner: Access) -> None:
    factories.make_app(owner, "shop")
    factories.make_node("n1")
    for words in (
        ("apps",),
        ("ps", "shop"),
        ("releases", "shop"),
        ("events",),
        ("events", "shop"),
        ("nodes",),
    ):
        plain, told = signed_in(*words), signed_in(*words, "--json")
        assert (plain.code, told.code) == (Exit.OK, Exit.OK), words
        assert json.loads(told.out), words
    assert "shop" in signed_in("apps").out
    assert "n1" in signed_in("nodes").out
    assert json.loads(signed_in("node", "n1", "--json").out)["node"]["name"] == "n1"
    assert json.loads(signed_in("what-if", "n1", "drain", "--json").out)["event"] == "drain"


def test_events_come_page_after_page(signed_in: Run, owner: Access) -> None:
    app = factories.make_app(owner, "shop")
    for number in range(3):
        signed_in("scale", "shop", f"web={number + 2}", "-d")
    assert len(json.loads(signed_in("events", "shop", "-n", "2", "--json").out)) == 2
    found = json.loads(signed_in("events", "shop", "-n", "5000", "--json").out)
    assert [one["id"] for one in found] == sorted(one["id"] for one in found)
    assert len(found) >= 4
    assert app.name == "shop"


def test_completion_knows_the_names(signed_in: Run, owner: Access) -> None:
    factories.make_app(owner, "shop")
    factories.make_node("n1")
    assert (app_names("sh"), app_names("x"), node_names("n")) == (["shop"], [], ["n1"])


def test_completion_never_fails_loudly(run: Run) -> None:
    assert (app_names(""), node_names("")) == ([], [])
