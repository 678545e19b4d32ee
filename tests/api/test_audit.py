"""Every write leaves a row, with who, from where and by which token; and who may read them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from django.urls import URLPattern
from django.utils import timezone
from pytest_django.fixtures import Settings

from console.accounts.access import team_access
from console.accounts.addresses import set_address
from console.accounts.enums import Role
from console.accounts.invitations import accept_as_new, invite
from console.accounts.members import leave_team
from console.accounts.models import ApiToken, User
from console.accounts.people import set_administrator
from console.accounts.secrets import digest
from console.accounts.services import create_sign_in_link, set_name, use_sign_in_link
from console.api.urls import urlpatterns
from console.cluster.joining import create_join_token, join
from console.cluster.models import Hold, Node
from console.cluster.services import renew_credential
from console.common import audit, origin
from console.common.models import AuditEntry
from console.workloads.models import App, Release, Rollout
from console.workloads.moves import WantedMove, mark_moves
from nodeagent import protocol
from tests import factories
from tests.api.caller import Caller, People
from tests.api.test_routes import _methods

TEAM = "/teams/home"
SHOP = f"{TEAM}/apps/shop"
NEXT = {"compose": factories.COMPOSE.replace("berth/demo", "berth/demo:2")}
CHANGES_NOTHING = {
    ("POST", "compose-check"),
    ("POST", "exec"),  # a ticket, which lies in Redis; the terminal that it opens is audited (tests/live)
    ("POST", "join"),  # by an agent: tests/cluster
    ("POST", "leave-team"),  # by a session: below
    ("POST", "rebalance"),  # moves of a plan: tests/controller
}


@dataclass(frozen=True)
class World:
    people: People
    administrator: Caller
    node: str
    spare: str


def _call(path: str, body: Any = None, method: str = "POST") -> Callable[[World], None]:
    def go(world: World) -> None:
        answer = world.people.owner.send(method, path, body if body is not None else {})
        assert answer.status < 300, (path, answer.body)

    return go


def _admin(path: str, body: Any = None, method: str = "POST") -> Callable[[World], None]:
    def go(world: World) -> None:
        answer = world.administrator.send(method, path, body if body is not None else {})
        assert answer.status < 300, (path, answer.body)

    return go


def _on_rollout(path: str, *, paused: bool = False) -> Callable[[World], None]:
    def go(world: World) -> None:
        if paused:
            _call(f"{SHOP}/rollout/pause")(world)
        _call(path)(world)

    return go


def _delete_join_token(world: World) -> None:
    made = world.administrator.post(f"{TEAM}/join-tokens", {})
    world.administrator.delete(f"{TEAM}/join-tokens/{made.body['join_token']['id']}")


def _delete_registry(world: World) -> None:
    made = world.people.owner.post(f"{TEAM}/registries", {"host": "r.io", "username": "u", "password": "p"})
    assert world.people.owner.delete(f"{TEAM}/registries/{made.body['id']}").status == 204


def _delete_token(world: World) -> None:
    made = world.people.owner.post(f"{TEAM}/tokens", {"name": "x"})
    assert world.people.owner.delete(f"{TEAM}/tokens/{made.body['token']['id']}").status == 204


def _account(method: str, body: Any = None) -> Callable[[World], None]:
    def go(world: World) -> None:
        _call(f"{TEAM}/service-accounts", {"name": "ci"})(world)
        _call(f"{TEAM}/service-accounts/ci", body, method)(world)

    return go


def _member(method: str, body: Any = None) -> Callable[[World], None]:
    def go(world: World) -> None:
        viewer = User.objects.get(email="viewer@example.com")
        _call(f"{TEAM}/members/{viewer.pk}", body, method)(world)

    return go


def _delete_volume(world: World) -> None:
    volume = factories.make_volume(App.objects.get(), Node.objects.get())
    App.objects.update(stopped=True)
    assert world.people.owner.delete(f"{TEAM}/volumes/{volume.id}").status == 202


def _disable(world: World) -> None:
    viewer = User.objects.get(email="viewer@example.com")
    _admin(f"/users/{viewer.pk}", {"active": False})(world)


def _invitation(world: World) -> None:
    made = world.people.owner.post(f"{TEAM}/invitations", {"email": "new@example.com"})
    assert world.people.owner.delete(f"{TEAM}/invitations/{made.body['invitation']['id']}").status == 204


def _cancel(world: World) -> None:
    first = Release.objects.get()
    factories.make_ready(first)
    Rollout.objects.update(state="succeeded")
    _call(f"{SHOP}/releases", NEXT)(world)
    _call(f"{SHOP}/rollout/cancel")(world)


def _cancel_operation(world: World) -> None:
    made = world.people.owner.post(f"{SHOP}/restart")
    _call(f"{TEAM}/operations/{made.body['operation']['id']}/cancel")(world)


def _roll_back(world: World) -> None:
    factories.make_ready(Release.objects.get())
    _call(f"{SHOP}/rollback", {"release": 1})(world)


CALLS: dict[tuple[str, str], tuple[Callable[[World], None], str]] = {
    ("POST", "team"): (_call(TEAM, {"log_retention_days": 3}), "team.changed"),
    ("POST", "apps"): (_call(f"{TEAM}/apps", {"name": "blog", **NEXT}), "app.deploy"),
    ("DELETE", "app"): (_call(SHOP, method="DELETE"), "app.delete"),
    ("POST", "releases"): (_call(f"{SHOP}/releases", NEXT), "app.deploy"),
    ("POST", "rollback"): (_roll_back, "app.rollback"),
    ("POST", "pause-rollout"): (_on_rollout(f"{SHOP}/rollout/pause"), "rollout.paused"),
    ("POST", "resume-rollout"): (_on_rollout(f"{SHOP}/rollout/resume", paused=True), "rollout.resumed"),
    ("POST", "cancel-rollout"): (_cancel, "app.rollback"),
    ("POST", "restart-app"): (_call(f"{SHOP}/restart"), "app.restart"),
    ("POST", "stop-app"): (_call(f"{SHOP}/stop"), "app.stop"),
    ("POST", "scale"): (_call(f"{SHOP}/services/web/scale", {"replicas": 3}), "app.scale"),
    ("POST", "restart-service"): (_call(f"{SHOP}/services/web/restart"), "app.restart"),
    ("POST", "stop-service"): (_call(f"{SHOP}/services/web/stop"), "app.stop"),
    ("POST", "app-members"): (
        _call(f"{SHOP}/members", {"member": "viewer@example.com", "role": "developer"}),
        "member.app_role",
    ),
    ("POST", "nodes"): (_admin(f"{TEAM}/nodes", {"name": "n9"}), "node.added"),
    ("POST", "cordon"): (_admin(f"{TEAM}/nodes/n1/cordon"), "node.cordoned"),
    ("POST", "drain"): (_admin(f"{TEAM}/nodes/n1/drain"), "node.draining"),
    ("POST", "registries"): (
        _call(f"{TEAM}/registries", {"host": "r.io", "username": "u", "password": "canary-p"}),
        "registry.stored",
    ),
    ("DELETE", "registry"): (_delete_registry, "registry.deleted"),
    ("POST", "join-tokens"): (_admin(f"{TEAM}/join-tokens", {}), ""),
    ("DELETE", "join-token"): (_delete_join_token, ""),
    ("POST", "tokens"): (_call(f"{TEAM}/tokens", {"name": "x"}), "token.created"),
    ("DELETE", "token"): (_delete_token, "token.revoked"),
    ("POST", "member"): (_member("POST", {"role": "developer"}), "member.role"),
    ("DELETE", "member"): (_member("DELETE"), "member.removed"),
    ("POST", "service-accounts"): (
        _call(f"{TEAM}/service-accounts", {"name": "ci"}),
        "service_account.created",
    ),
    ("POST", "service-account"): (_account("POST", {"role": "viewer"}), "member.role"),
    ("DELETE", "service-account"): (_account("DELETE"), "service_account.deleted"),
}


def _then(first: str, second: str) -> Callable[[World], None]:
    def go(world: World) -> None:
        _admin(f"{TEAM}/nodes/n1/{first}")(world)
        _admin(f"{TEAM}/nodes/n1/{second}")(world)

    return go


def _remove_node(world: World) -> None:
    factories.make_node(world.spare)
    _admin(f"{TEAM}/nodes/{world.spare}/cordon")(world)
    _admin(f"{TEAM}/nodes/{world.spare}", method="DELETE")(world)


def _declare_dead(world: World) -> None:
    Node.objects.update(state="down")
    _admin(f"{TEAM}/nodes/n1/dead", {"volumes": True})(world)


def _confirm_node(world: World) -> None:
    Hold.objects.create(node=Node.objects.get(), state="held", at=timezone.now())
    _admin(f"{TEAM}/nodes/n1/confirm")(world)


def _secret(path: str) -> Callable[[World], None]:
    def go(world: World) -> None:
        _call(path, {"name": "key", "value": "canary-v"})(world)
        _call(f"{path}/key", method="DELETE")(world)

    return go


def _delete_size(world: World) -> None:
    _admin(f"{TEAM}/sizes", {"name": "tiny", "cpu": 500, "memory": 64 * 1024**2})(world)
    _admin(f"{TEAM}/sizes/tiny", method="DELETE")(world)


CALLS |= {
    ("POST", "cancel-operation"): (_cancel_operation, "app.cancel"),
    ("POST", "quota"): (_admin(f"{TEAM}/quota", {"apps": 9}), "team.quota"),
    ("POST", "sizes"): (
        _admin(f"{TEAM}/sizes", {"name": "tiny", "cpu": 500, "memory": 64 * 1024**2}),
        "size.set",
    ),
    ("DELETE", "size"): (_delete_size, "size.deleted"),
    ("POST", "team-secrets"): (_call(f"{TEAM}/secrets", {"name": "key", "value": "canary-v"}), ""),
    ("DELETE", "team-secret"): (_secret(f"{TEAM}/secrets"), ""),
    ("POST", "app-secrets"): (_call(f"{SHOP}/secrets", {"name": "key", "value": "canary-v"}), ""),
    ("DELETE", "app-secret"): (_secret(f"{SHOP}/secrets"), ""),
    ("POST", "teams"): (_admin("/teams", {"slug": "fresh"}), "team.created"),
    ("POST", "user"): (_disable, "user.active"),
    ("POST", "invitations"): (
        _call(f"{TEAM}/invitations", {"email": "new@example.com"}),
        "invitation.created",
    ),
    ("DELETE", "volume"): (_delete_volume, "volume.delete"),
    ("DELETE", "invitation"): (_invitation, "invitation.revoked"),
    ("DELETE", "node"): (_remove_node, "node.removed"),
    ("PATCH", "node"): (_admin(f"{TEAM}/nodes/n1", {"zone": "b"}, method="PATCH"), "node.changed"),
    ("POST", "uncordon"): (_then("cordon", "uncordon"), "node.cordoned"),
    ("POST", "declare-dead"): (_declare_dead, "node.dead"),
    ("POST", "confirm-node"): (_confirm_node, "node.confirmed"),
    ("POST", "undrain"): (_then("drain", "undrain"), "node.undrained"),
    ("POST", "leave"): (_admin(f"{TEAM}/nodes/n1/leave"), ""),
    ("POST", "rotate-credential"): (_admin(f"{TEAM}/nodes/n1/rotate"), ""),
    ("POST", "revoke-credential"): (_admin(f"{TEAM}/nodes/n1/revoke"), ""),
}
WEBHOOK = {"name": "chat", "url": "https://example.com/canary-path", "kinds": ["app"]}


def _webhook(method: str, more: str, body: Any = None) -> Callable[[World], None]:
    def go(world: World) -> None:
        made = world.people.owner.post(f"{TEAM}/webhooks", WEBHOOK)
        _call(f"{TEAM}/webhooks/{made.body['webhook']['id']}{more}", body, method)(world)

    return go


def _redeliver(world: World) -> None:
    made = world.people.owner.post(f"{TEAM}/webhooks", WEBHOOK).body["webhook"]["id"]
    sent = world.people.owner.post(f"{TEAM}/webhooks/{made}/ping").body["id"]
    _call(f"{TEAM}/webhooks/{made}/deliveries/{sent}/redeliver")(world)


def _start(path: str) -> Callable[[World], None]:
    def go(world: World) -> None:
        _call(f"{path}/stop")(world)
        _call(f"{path}/start")(world)

    return go


CALLS |= {
    ("POST", "webhooks"): (_call(f"{TEAM}/webhooks", WEBHOOK), "webhook.created"),
    ("PATCH", "webhook"): (_webhook("PATCH", "", {"active": False}), "webhook.changed"),
    ("DELETE", "webhook"): (_webhook("DELETE", ""), "webhook.deleted"),
    ("POST", "rotate-webhook"): (_webhook("POST", "/rotate"), "webhook.rotated"),
    ("POST", "ping-webhook"): (_webhook("POST", "/ping"), "webhook.pinged"),
    ("POST", "redeliver"): (_redeliver, "webhook.redelivered"),
    ("POST", "start-app"): (_start(SHOP), "app.start"),
    ("POST", "start-service"): (_start(f"{SHOP}/services/web"), "app.start"),
}
MAKES = re.compile(r".*\.(created|added|joined|factor_added)|registry\.stored")
"""Kinds of rows of something new: there is no before."""
MAKES_OR_CHANGES = {"app.deploy": "release", "secret.stored": "version", "size.set": ""}
"""Kinds of rows of either, with what numbers them: of the first there is no before."""
ENDS = re.compile(r".*\.(deleted|delete|removed|left|used|ended)|(token|invitation)\.revoked")
"""Kinds of rows of something that is gone, or goes: there is no after."""
TELLS_NO_MORE = {
    "webhook.rotated": "of the old and the new signing secret nothing may be told",
    "node.revoked": "of the old and the new credentials nothing may be told",
    "node.renewed": "the same",
    "node.joined": "the same, where the host joins as a node that is there",
}
"""Rows of a change of what is secret: that it changed, and why that is all."""
LEAVES_ALL_AS_IT_WAS = {
    "webhook.pinged": "a test event is sent; the webhook stays as it is",
    "webhook.redelivered": "an event that is there is sent again; the webhook stays as it is",
}
"""Rows of what people did that changed nothing of what is kept, and why."""
WRITES = [
    (method, pattern)
    for pattern in urlpatterns
    for method in _methods(pattern)
    if method != "GET" and (method, pattern.name) not in CHANGES_NOTHING
]


@pytest.fixture
def world(people: People, administrator: Caller, settings: Settings, tmp_path: Any) -> World:
    settings.BERTH_HOME = tmp_path
    factories.make_app(people.access, "shop")
    factories.make_node("n1")
    return World(people, administrator, "n1", "n2")


@pytest.mark.thorough
@pytest.mark.parametrize(("method", "pattern"), WRITES, ids=[f"{m} {p.name}" for m, p in WRITES])
def test_every_write_leaves_a_row(world: World, method: str, pattern: URLPattern) -> None:
    call, kind = CALLS[method, str(pattern.name)]
    before = set(AuditEntry.objects.values_list("pk", flat=True))
    call(world)
    rows = AuditEntry.objects.exclude(pk__in=before)
    row = rows.filter(kind=kind).latest("id") if kind else rows.latest("id")
    assert row.address == "127.0.0.1"
    assert row.actor in {"owner@example.com", world_email(row)}
    assert ApiToken.objects.filter(pk=row.token_id, name="test").exists()
    assert row.request_id
    assert "canary" not in json.dumps(row.data) + row.message


@pytest.mark.thorough
@pytest.mark.parametrize(("method", "pattern"), WRITES, ids=[f"{m} {p.name}" for m, p in WRITES])
def test_every_row_of_a_change_says_before_and_after(world: World, method: str, pattern: URLPattern) -> None:
    known = set(AuditEntry.objects.values_list("pk", flat=True))
    CALLS[method, str(pattern.name)][0](world)
    rows = AuditEntry.objects.exclude(pk__in=known)
    assert rows
    assert {row.kind: lacks for row in rows if (lacks := _lacks(row))} == {}
    assert "canary" not in json.dumps([row.data for row in rows])
    audit.seal()
    assert audit.verify().broken == ""


def _left(world: World) -> None:
    leave_team(team_access(User.objects.get(email="viewer@example.com"), "home"))


def _joined(world: World) -> None:
    _made, secret = invite(world.people.access, email="new@example.com", role=Role.VIEWER)
    accept_as_new(secret, name="New", password="correct horse battery")


def _by_link(_world: World) -> None:
    use_sign_in_link(create_sign_in_link(User.objects.get(email="owner@example.com")))


def _account_changed(_world: World) -> None:
    viewer = User.objects.get(email="viewer@example.com")
    set_name(viewer, "Vera")
    set_address(viewer, "vera@example.com", actor="owner@example.com")
    set_administrator(viewer, administrator=True, actor="owner@example.com")


def _two_hosts(world: World) -> None:
    for node in (None, Node.objects.get(name=world.node)):
        made = create_join_token(actor="owner@example.com", name="" if node else "n9", node=node)
        own = digest(f"own {made.secret}")
        asked = protocol.JoinRequest(version=protocol.VERSION, agent="1", token_digest=own, broker_digest=own)
        join(made.secret, asked)


def _renewed(world: World) -> None:
    renew_credential(Node.objects.get(name=world.node), actor="manage.py")


def _moved(world: World) -> None:
    spare, there = factories.make_node(world.spare), Node.objects.get(name=world.node)
    app = factories.make_app(world.people.access, "free", compose="services: {web: {image: berth/demo}}")
    container = factories.make_container(app, there)
    administrator = factories.make_member(factories.make_team("staff"), administrator=True)
    assert mark_moves(administrator, [WantedMove(container.id, there.id, spare.id)]).moves


ELSEWHERE: dict[str, Callable[[World], None]] = {
    "member.left": _left,
    "member.joined": _joined,
    "link.used": _by_link,
    "account.address": _account_changed,
    "node.joined": _two_hosts,
    "node.renewed": _renewed,
    "slot.move": _moved,
}
"""What is done by sessions, agents and commands, by a kind of row that it leaves."""


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_so_does_every_row_of_what_is_done_elsewhere(world: World, kind: str) -> None:
    known = set(AuditEntry.objects.values_list("pk", flat=True))
    with origin.use(origin.Origin(address="192.0.2.7")):
        ELSEWHERE[kind](world)
    rows = AuditEntry.objects.exclude(pk__in=known)
    assert kind in {row.kind for row in rows}
    assert {row.kind: lacks for row in rows if (lacks := _lacks(row))} == {}


def _lacks(row: AuditEntry) -> str:
    """What a row of this kind has to say and does not; empty: nothing."""
    before, after = row.data.get("before"), row.data.get("after")
    if row.kind in LEAVES_ALL_AS_IT_WAS:
        return "" if before is after is None else "it changes something after all"
    if row.kind in TELLS_NO_MORE and "before" not in row.data:
        return "" if row.data.get("changed") is True else "that it changed"
    if not {"before", "after"} <= set(row.data):
        return "before and after"
    new, gone = bool(MAKES.fullmatch(row.kind)), bool(ENDS.fullmatch(row.kind))
    if row.kind in MAKES_OR_CHANGES:
        new = after.get(MAKES_OR_CHANGES[row.kind], 1) == 1
    if (before is None, after is None) != (new, gone) or not (before or after):
        return f"{'nothing' if new else 'something'} before, {'nothing' if gone else 'something'} after"
    same = [name for name in before or {} if after is not None and before[name] == after.get(name, ...)]
    return f"nothing of what stayed as it was: {same}" if same else ""


def world_email(row: AuditEntry) -> str:
    """An administrator's address is made up by the factory."""
    return str(User.objects.get(email=row.actor, is_staff=True).email) if "owner" not in row.actor else ""


def test_a_change_says_before_and_after(world: World) -> None:
    _call(f"{SHOP}/services/web/scale", {"replicas": 3})(world)
    row = AuditEntry.objects.get(kind="app.scale")
    assert (row.data["before"], row.data["after"]) == ({"replicas": 1}, {"replicas": 3})
    _call(f"{SHOP}/releases", NEXT)(world)
    release = AuditEntry.objects.filter(kind="app.deploy").latest("id").data
    assert release["before"]["images"] == {"web": "berth/demo"}
    assert release["after"]["images"] == {"web": "berth/demo:2"}


def test_a_deployment_names_what_may_be_secret_and_tells_no_value(world: World) -> None:
    _call(f"{SHOP}/releases", {**NEXT, "variables": {"KEY": "canary-1", "SAME": "s"}})(world)
    _call(f"{SHOP}/releases", {**NEXT, "variables": {"KEY": "canary-2", "SAME": "s"}})(world)
    data = AuditEntry.objects.filter(kind="app.deploy").latest("id").data
    assert (data["before"], data["after"]) == ({"release": 2}, {"release": 3})
    assert (data["variables"], data["files"], data["secrets"]) == (["KEY"], [], [])


def test_a_new_default_size_tells_of_the_one_before_it(world: World) -> None:
    for name in ("small", "large"):
        size = {"name": name, "cpu": 500, "memory": 64 * 1024**2, "default": True}
        _admin(f"{TEAM}/sizes", size)(world)
    rows = AuditEntry.objects.filter(kind="size.set", data__size="small").order_by("-id")
    assert (rows[0].data["before"], rows[0].data["after"]) == ({"default": True}, {"default": False})
    assert rows[1].data["before"] is None


def test_reading_what_may_be_secret_leaves_a_row_without_it(people: People) -> None:
    factories.make_app(people.access, "shop", variables={"KEY": "canary-1"})
    people.viewer.get(f"{SHOP}/releases/1")
    assert not AuditEntry.objects.filter(kind="secret.read").exists()
    assert people.developer.get(f"{SHOP}/releases/1").body["variables"] == {"KEY": "canary-1"}
    row = AuditEntry.objects.get(kind="secret.read")
    assert (row.actor, row.data) == ("developer@example.com", {"files": [], "variables": ["KEY"]})


def test_owners_see_their_teams_rows_and_administrators_all(people: People, administrator: Caller) -> None:
    factories.make_app(people.access, "shop")
    people.owner.post(f"{SHOP}/restart")
    audit.write("session.refused", "Sign-in refused", actor="eve@example.com")
    audit.write("app.scale", "Other", actor="x", team="other")
    body = people.owner.get(f"{TEAM}/audit?kind=app").body
    assert {row["kind"] for row in body["items"]} == {"app.restart"}
    assert people.owner.get(f"{SHOP}/audit").body["items"][0]["kind"] == "app.restart"
    assert people.owner.get(f"{TEAM}/audit?actor=nobody").body["items"] == []
    kinds = {row["kind"] for row in administrator.get("/audit").body["items"]}
    assert kinds >= {"app.restart", "session.refused", "app.scale"}
    for caller in (people.developer, people.viewer):
        for path in (f"{TEAM}/audit", f"{SHOP}/audit", f"{TEAM}/audit/export", "/audit", "/audit/export"):
            assert caller.get(path).status == 403, path
    for path in ("/audit", "/audit/export"):
        assert people.owner.get(path).status == 403
        assert people.anonymous.get(path).status == 401
    assert people.owner.get(f"{TEAM}/audit?kind=..").status == 400


def test_the_audit_is_narrowed_by_token_target_and_time(people: People, administrator: Caller) -> None:
    shop, node = factories.make_app(people.access, "shop"), factories.make_node("n1")
    people.owner.post(f"{SHOP}/restart")
    people.owner.post(f"{TEAM}/webhooks", WEBHOOK)
    people.owner.post(f"{TEAM}/service-accounts", {"name": "ci"})
    administrator.post(f"{TEAM}/nodes/n1/cordon")
    token = ApiToken.objects.get(user__email="owner@example.com")
    rows = AuditEntry.objects.filter(team_id=people.access.team.pk).order_by("-id")
    rows.filter(kind="app.restart").update(at=datetime(2026, 1, 31, 12, tzinfo=UTC))

    def kinds(query: str, path: str = f"{TEAM}/audit", caller: Caller = people.owner) -> list[str]:
        answer = caller.get(f"{path}?{query}")
        assert answer.status == 200, answer.body
        return [row["kind"] for row in answer.body["items"]]

    account = "service_account.created"
    assert kinds("token=test") == kinds(f"token={token.pk}") == [account, "webhook.created", "app.restart"]
    assert kinds("token=other") == []
    assert kinds("target=shop") == kinds(f"target={shop.pk}") == ["app.restart"]
    assert kinds("target=chat") == ["webhook.created"]
    assert kinds("target=ci") == kinds("target=service account ci") == [account]
    assert kinds("target=nobody") == []
    for target in ("n1", node.pk):
        assert kinds(f"target={target}", "/audit", administrator) == ["node.cordoned"]
    assert kinds("until=2026-01-31T12:00:01Z") == ["app.restart"]
    assert kinds("until=2026-01-31T12:00:00Z") == []
    assert kinds("since=2026-01-31T12:00:00Z&until=2026-02-01T00:00:00Z") == ["app.restart"]
    assert kinds("since=2026-01-31T12:00:01Z&token=test") == [account, "webhook.created"]
    assert kinds("since=2026-01-31T12:00:00Z", f"{SHOP}/audit") == ["app.restart"]
    for wrong in ("since=yesterday", "until=", "token=" + "x" * 201, "target=" + "x" * 255):
        answer = people.owner.get(f"{TEAM}/audit?{wrong}")
        assert (answer.status, list(answer.error["fields"])) == (400, [wrong.split("=")[0]]), wrong


def test_pages_of_the_audit_follow_each_other(people: People) -> None:
    for number in range(5):
        audit.write("test.done", str(number), actor="x", team=people.access.team.pk)
    first = people.owner.get(f"{TEAM}/audit?limit=3&kind=test").body
    second = people.owner.get(first["next"].removeprefix("/api/v1")).body
    assert [row["message"] for row in first["items"] + second["items"]] == ["4", "3", "2", "1", "0"]
    assert second["next"] is None


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_an_export_is_the_sealed_chain(people: People, administrator: Caller) -> None:
    for team in (people.access.team.pk, "other"):
        audit.write("test.done", team, actor="x", team=team)
    lines = [json.loads(line) for line in administrator.get("/audit/export").body.splitlines()]
    assert audit.verify_rows(lines).broken == ""
    assert [line["team"] for line in lines if line["kind"] == "test.done"] == [people.access.team.pk, "other"]
    own = [json.loads(line) for line in people.owner.get(f"{TEAM}/audit/export").body.splitlines()]
    assert {line["team"] for line in own} == {people.access.team.pk}
    rest = administrator.get(f"/audit/export?after={lines[-1]['seq']}")
    assert (rest.status, rest.body) == (200, b"")
