"""The rows: of every route and method, which right it asks for, and a call of it that succeeds with that right."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from nodeagent import protocol
from tests import factories
from tests.matrix import world
from tests.matrix.rights import Right
from tests.matrix.routes import METHODS
from tests.matrix.world import NEXT, Side

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """`ok` is the status for whoever may. `app_token`: whether a token of one app, with all verbs but `admin`, may.
    `before` prepares each of the two teams. A text `{name}` in the body or the query is the team's own."""

    right: Right
    ok: int = 200
    body: Body = field(default_factory=dict)
    query: Body = field(default_factory=dict)
    app_token: bool = False
    before: Callable[[Side], None] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    """Which of the team's names stand for the path's, where they are not called the same."""

    def content(self, side: Side, *, page: bool) -> bytes:
        given = {key: _filled(value, side) for key, value in self.body.items()}
        return urlencode(given, doseq=True).encode() if page else json.dumps(given).encode()

    def search(self, side: Side) -> str:
        return (
            f"?{urlencode({key: _filled(value, side) for key, value in self.query.items()})}"
            if self.query
            else ""
        )


def _filled(value: Any, side: Side) -> Any:
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        return side.names[value[1:-1]]
    return [_filled(one, side) for one in value] if isinstance(value, list) else value


def _read(*, app_token: bool = False, **more: Any) -> Row:
    return Row(Right.READ, app_token=app_token, **more)


def _of_app(right: Right, ok: int = 202, **more: Any) -> Row:
    return Row(right, ok, app_token=True, **more)


def _own(ok: int = 200, **more: Any) -> Row:
    return Row(Right.OWN, ok, **more)


def _platform(ok: int = 200, **more: Any) -> Row:
    return Row(Right.PLATFORM, ok, **more)


DIGEST = "0" * 64
_SECRET = {"name": "new", "value": "v"}
_WEBHOOK = {"name": "new", "url": "https://example.com/new"}
_SPARE = {"node": "spare"}
_TEAM_SECRET = {"secret": "team_secret"}

API: dict[tuple[str, str], Row] = {
    ("GET", "schema"): Row(Right.PUBLIC_ELSE_KNOWN),
    ("GET", "join"): Row(Right.PUBLIC),
    ("POST", "join"): Row(
        Right.JOIN_TOKEN,
        body={"version": protocol.VERSION, "agent": "1", "token_digest": DIGEST, "broker_digest": DIGEST},
    ),
    ("GET", "me"): Row(Right.SIGNED_IN, app_token=True),
    ("GET", "teams"): Row(Right.SIGNED_IN, app_token=True),
    ("POST", "teams"): _platform(201, body={"slug": "fresh"}),
    ("GET", "team"): _read(),
    ("POST", "team"): _own(body={"name": "Renamed"}),
    ("GET", "apps"): _read(app_token=True),
    ("POST", "apps"): Row(Right.WRITE, 202, body={"name": "new", "compose": NEXT}),
    ("GET", "app"): _read(app_token=True),
    ("DELETE", "app"): _of_app(Right.WRITE),
    ("GET", "releases"): _read(app_token=True),
    ("POST", "releases"): _of_app(Right.DEPLOY, body={"compose": NEXT}),
    ("GET", "release"): _read(app_token=True),
    ("POST", "rollback"): _of_app(Right.DEPLOY, body={"release": 1}),
    ("POST", "pause-rollout"): _of_app(Right.DEPLOY),
    ("POST", "resume-rollout"): _of_app(Right.DEPLOY, before=world.paused),
    ("POST", "cancel-rollout"): _of_app(Right.DEPLOY, before=world.second_rollout),
    ("POST", "restart-app"): _of_app(Right.WRITE),
    ("POST", "stop-app"): _of_app(Right.WRITE),
    ("POST", "start-app"): _of_app(Right.WRITE),
    ("GET", "containers"): _read(app_token=True),
    ("GET", "team-metrics"): _read(),
    ("GET", "app-metrics"): _read(app_token=True),
    ("GET", "service-metrics"): _read(app_token=True),
    ("GET", "slot-metrics"): _read(app_token=True),
    ("GET", "node-metrics"): _read(),
    ("GET", "volumes"): _read(app_token=True),
    ("GET", "volume"): _read(app_token=True),
    ("DELETE", "volume"): _of_app(Right.WRITE, before=world.stopped),
    ("GET", "app-volumes"): _read(app_token=True),
    ("GET", "app-events"): _read(app_token=True),
    ("GET", "logs"): _read(app_token=True),
    ("POST", "scale"): _of_app(Right.WRITE, body={"replicas": 2}),
    ("POST", "restart-service"): _of_app(Right.WRITE),
    ("POST", "stop-service"): _of_app(Right.WRITE),
    ("POST", "start-service"): _of_app(Right.WRITE),
    ("GET", "room"): _read(app_token=True, query={"limit": "1"}),
    ("GET", "slot"): _read(app_token=True),
    ("POST", "compose-check"): _read(app_token=True, body={"compose": factories.COMPOSE}),
    ("GET", "container"): _read(app_token=True),
    ("POST", "exec"): _of_app(Right.EXEC, 201),
    ("GET", "operations"): _read(app_token=True),
    ("GET", "operation"): _read(app_token=True),
    ("POST", "cancel-operation"): _of_app(Right.WRITE, before=world.restarting),
    ("GET", "wait"): _read(app_token=True, query={"timeout": "0"}),
    ("GET", "events"): _read(),
    ("GET", "event-stream"): _read(),
    ("GET", "nodes"): _read(),
    ("POST", "nodes"): _platform(201, body={"name": "new"}),
    ("GET", "node"): _read(),
    ("PATCH", "node"): _platform(body={"zone": "rack-2", "labels": {"disk": "ssd"}}),
    ("DELETE", "node"): _platform(204, names=_SPARE, before=world.cordoned),
    ("POST", "cordon"): _platform(),
    ("POST", "uncordon"): _platform(),
    ("POST", "drain"): _platform(202),
    ("POST", "undrain"): _platform(202),
    ("POST", "declare-dead"): _platform(202, before=world.node_down),
    ("POST", "confirm-node"): _platform(202, before=world.node_held),
    ("POST", "leave"): _platform(202),
    ("POST", "rotate-credential"): _platform(202),
    ("POST", "revoke-credential"): _platform(),
    ("GET", "join-tokens"): _platform(),
    ("POST", "join-tokens"): _platform(201),
    ("DELETE", "join-token"): _platform(204),
    ("GET", "what-if"): _read(),
    ("GET", "rebalance"): _platform(),
    ("POST", "rebalance"): _platform(202, body={"moves": []}),
    ("GET", "registries"): _read(),
    ("POST", "registries"): _own(201, body={"host": "other.io", "username": "u", "password": "p"}),
    ("DELETE", "registry"): _own(204),
    ("GET", "users"): _platform(),
    ("GET", "user"): _platform(),
    ("POST", "user"): _platform(body={"active": False}),
    ("GET", "audit"): _platform(),
    ("GET", "audit-export"): _platform(),
    ("GET", "team-audit"): _own(),
    ("GET", "team-audit-export"): _own(),
    ("GET", "app-audit"): _own(),
    ("GET", "invitations"): _own(),
    ("POST", "invitations"): _own(201, body={"email": "new@example.com"}),
    ("DELETE", "invitation"): _own(204),
    ("GET", "members"): _read(),
    ("GET", "member"): _read(),
    ("POST", "member"): _own(body={"role": "developer"}),
    ("DELETE", "member"): _own(204),
    ("POST", "leave-team"): Row(Right.PERSON, 204),
    ("GET", "service-accounts"): _read(),
    ("POST", "service-accounts"): _own(201, body={"name": "new"}),
    ("GET", "service-account"): _read(),
    ("POST", "service-account"): _own(body={"role": "viewer"}),
    ("DELETE", "service-account"): _own(204),
    ("GET", "app-members"): _read(app_token=True),
    ("POST", "app-members"): _own(body={"member": "{member}", "role": "developer"}),
    ("GET", "quota"): _read(),
    ("POST", "quota"): _platform(body={"apps": 9}),
    ("GET", "sizes"): _read(),
    ("POST", "sizes"): _platform(201, body={"name": "new", "cpu": 500, "memory": 64 * 1024**2}),
    ("DELETE", "size"): _platform(204),
    ("GET", "team-secrets"): _read(),
    ("POST", "team-secrets"): _own(201, body=_SECRET),
    ("GET", "team-secret"): _read(names=_TEAM_SECRET),
    ("DELETE", "team-secret"): _own(204, names=_TEAM_SECRET),
    ("GET", "app-secrets"): _read(app_token=True),
    ("POST", "app-secrets"): _of_app(Right.WRITE, 201, body=_SECRET),
    ("GET", "app-secret"): _read(app_token=True),
    ("DELETE", "app-secret"): _of_app(Right.WRITE, 204),
    ("GET", "tokens"): _read(),
    ("POST", "tokens"): _read(ok=201, body={"name": "new"}),
    ("DELETE", "token"): Row(Right.OWN_ELSE_HIDDEN, 204),
    ("GET", "webhooks"): _own(),
    ("POST", "webhooks"): _own(201, body=_WEBHOOK),
    ("GET", "webhook"): _own(),
    ("PATCH", "webhook"): _own(body={"active": False}),
    ("DELETE", "webhook"): _own(204),
    ("POST", "rotate-webhook"): _own(),
    ("POST", "ping-webhook"): _own(202),
    ("GET", "deliveries"): _own(),
    ("GET", "delivery"): _own(),
    ("POST", "redeliver"): _own(202),
}

_APP = {"name": "app"}
_NODE = {"name": "node"}


def _app_page(**more: Any) -> Row:
    return Row(Right.READ, names=_APP, **more)


def _app_post(right: Right = Right.WRITE, **more: Any) -> Row:
    return Row(right, 302, names=_APP, **more)


def _node_post(**more: Any) -> Row:
    return Row(Right.PLATFORM, more.pop("ok", 302), names=more.pop("names", _NODE), **more)


def _own_post(**more: Any) -> Row:
    return Row(Right.OWN, more.pop("ok", 302), **more)


_MINE, _MINE_ELSEWHERE, _MINE_NONE = (Row(Right.SIGNED_IN, status) for status in (200, 302, 404))
_DEPLOYED = {"name": "new", "compose": NEXT}

PAGES: dict[tuple[str, str], Row] = {
    ("GET", "web:home"): Row(Right.SIGNED_IN, 302),
    ("GET", "web:errors"): Row(Right.PUBLIC),
    ("GET", "web:sign-in"): Row(Right.GUEST),
    ("POST", "web:sign-in"): Row(Right.GUEST, 422),
    ("PUT", "web:sign-in"): Row(Right.GUEST, 422),
    ("GET", "web:sign-in-link"): Row(Right.PUBLIC, names={"secret": "sign_in_link"}),
    ("POST", "web:sign-in-link"): Row(Right.PUBLIC, 302, names={"secret": "sign_in_link"}),
    ("POST", "web:sign-out"): Row(Right.PUBLIC, 302),
    ("GET", "web:invitation"): Row(Right.PUBLIC, names={"secret": "invitation_link"}),
    ("POST", "web:invitation"): Row(Right.INVITED, 302, names={"secret": "invitation_link"}),
    ("GET", "web:security"): _MINE,
    # Nobody is asked for one here.
    ("GET", "web:second-factor"): _MINE_ELSEWHERE,
    ("POST", "web:session-end"): Row(Right.SIGNED_IN, 302),
    ("GET", "web:profile"): _MINE,
    ("POST", "web:profile"): Row(Right.SIGNED_IN, 302, body={"name": "Ada", "email": "ada@example.com"}),
    # Made for the owner's account.
    ("GET", "web:address"): Row(Right.OWN_ELSE_HIDDEN, names={"secret": "address_link"}),
    ("POST", "web:address"): Row(Right.OWN_ELSE_HIDDEN, 302, names={"secret": "address_link"}),
    ("GET", "web:components"): Row(Right.PLATFORM_ELSE_HIDDEN),
    ("GET", "web:overview"): _read(),
    ("GET", "web:apps"): _read(),
    ("GET", "web:app-new"): Row(Right.WRITE),
    ("POST", "web:app-new"): Row(Right.WRITE, 302, {"name": "new", "image": "berth/demo", "replicas": 1}),
    ("GET", "web:app-new-compose"): Row(Right.WRITE),
    ("POST", "web:app-new-compose"): Row(Right.WRITE, 302, _DEPLOYED),
    ("POST", "web:app-demo"): Row(Right.WRITE, 302),
    ("GET", "web:app"): _app_page(),
    ("GET", "web:app-releases"): _app_page(),
    ("GET", "web:app-logs"): _app_page(),
    ("GET", "web:app-metrics"): _app_page(),
    ("GET", "web:app-events"): _app_page(),
    ("GET", "web:app-compose"): _app_page(),
    ("POST", "web:app-compose"): _app_post(Right.DEPLOY, body={"compose": NEXT}),
    ("GET", "web:app-secrets"): _app_page(),
    ("POST", "web:app-secrets"): _app_post(body=_SECRET),
    ("POST", "web:app-secret-delete"): _app_post(),
    ("POST", "web:app-redeploy"): _app_post(Right.DEPLOY),
    ("POST", "web:app-restart"): _app_post(),
    ("POST", "web:app-stop"): _app_post(),
    ("POST", "web:app-start"): _app_post(),
    ("POST", "web:app-delete"): _app_post(body={"confirm": "shop"}),
    ("POST", "web:app-roll-back"): _app_post(Right.DEPLOY, body={"release": 1}),
    ("POST", "web:rollout-pause"): _app_post(Right.DEPLOY),
    ("POST", "web:rollout-resume"): _app_post(Right.DEPLOY, before=world.paused),
    ("POST", "web:rollout-cancel"): _app_post(Right.DEPLOY, before=world.second_rollout),
    ("GET", "web:service"): _app_page(),
    ("GET", "web:service-room"): _app_page(),
    ("GET", "web:slot"): _app_page(),
    ("GET", "web:terminal"): Row(Right.EXEC, names=_APP),
    ("POST", "web:service-scale"): _app_post(body={"replicas": 2}),
    ("POST", "web:service-restart"): _app_post(),
    ("POST", "web:service-stop"): _app_post(),
    ("POST", "web:service-start"): _app_post(),
    ("GET", "web:volumes"): _read(),
    ("GET", "web:volume"): _read(),
    ("POST", "web:volume-delete"): Row(Right.WRITE, 302, {"confirm": "data"}, before=world.stopped),
    ("GET", "web:nodes"): _read(),
    ("POST", "web:node-add"): _platform(body={"name": "new", "minutes": 60}),
    ("POST", "web:join-token-revoke"): _platform(302, names={"token": "join_token"}),
    ("GET", "web:node"): _read(names=_NODE),
    ("POST", "web:node-change"): _node_post(body={"zone": "rack-2", "labels": "disk=ssd"}),
    ("POST", "web:node-cordon"): _node_post(body={"cordoned": 1}),
    ("POST", "web:node-drain"): _node_post(body={"draining": 1}),
    ("POST", "web:node-dead"): _node_post(before=world.node_down),
    ("POST", "web:node-confirm"): _node_post(before=world.node_held),
    ("GET", "web:node-what-if"): _read(names=_NODE),
    ("POST", "web:node-remove"): _node_post(names={"name": "spare"}, before=world.cordoned),
    ("POST", "web:node-leave"): _node_post(),
    ("POST", "web:node-rotate"): _node_post(),
    ("POST", "web:node-revoke"): _node_post(),
    ("POST", "web:node-join-again"): _node_post(ok=200),
    ("GET", "web:rebalance"): _platform(),
    ("POST", "web:rebalance-moves"): _platform(302),
    ("GET", "web:events"): _read(),
    ("GET", "web:settings"): _read(),
    ("GET", "web:secrets"): _read(),
    ("POST", "web:secrets"): _own_post(body=_SECRET),
    ("POST", "web:secret-delete"): _own_post(names=_TEAM_SECRET),
    ("POST", "web:log-retention"): _own_post(body={"log_days": 3}),
    ("POST", "web:team-rename"): _own_post(body={"team_name": "Renamed"}),
    ("GET", "web:tokens"): _read(),
    ("POST", "web:tokens"): _read(body={"name": "new", "days": 30}),
    ("POST", "web:token-revoke"): Row(Right.OWN_ELSE_HIDDEN, 302),
    ("GET", "web:members"): _read(),
    ("POST", "web:team-leave"): Row(Right.PERSON, 302),
    ("POST", "web:member-role"): _own_post(names={"principal": "member"}, body={"role": "developer"}),
    ("POST", "web:member-remove"): _own_post(names={"principal": "member"}),
    ("POST", "web:invite"): _own_post(ok=200, body={"email": "new@example.com", "role": "viewer"}),
    ("POST", "web:invitation-revoke"): _own_post(),
    ("POST", "web:service-account-create"): _own_post(body={"name": "new", "role": "viewer"}),
    ("POST", "web:app-role"): _own_post(body={"app": "shop", "member": "{member}", "role": "developer"}),
    ("GET", "web:audit"): Row(Right.OWN),
    ("GET", "web:platform"): _platform(),
    ("POST", "web:team-create"): _platform(302, body={"name": "Fresh", "slug": "fresh"}),
    ("POST", "web:user-change"): _platform(302, body={"change": "disable"}),
    ("POST", "web:registry-store"): _own_post(body={"host": "other.io", "username": "u", "password": "p"}),
    ("POST", "web:registry-delete"): _own_post(),
    ("GET", "web:webhooks"): _own(),
    ("POST", "web:webhooks"): _own(body=_WEBHOOK),
    ("GET", "web:webhook"): _own(),
    ("POST", "web:webhook"): _own_post(body=_WEBHOOK),
    ("POST", "web:webhook-active"): _own_post(),
    ("POST", "web:webhook-delete"): _own_post(),
    ("GET", "web:webhook-rotate"): _own(302),
    ("POST", "web:webhook-rotate"): _own(body={"overlap_hours": 1}),
    ("POST", "web:webhook-ping"): _own_post(),
    ("POST", "web:redeliver"): _own_post(),
    ("POST", "web:team-second-factor"): _own_post(),
}

_FORM = ("GET", "POST", "PUT")
_LANGUAGE = Row(Right.PUBLIC, 302, {"language": "en"})

ACCOUNT: dict[tuple[str, str], Row] = {
    ("GET", "healthz"): Row(Right.PUBLIC),
    ("GET", "metrics"): Row(Right.PLATFORM_BY_TOKEN),
    **{(method, name): _LANGUAGE for method in METHODS for name in ("set_language", "web:set-language")},
    ("GET", "account_login"): Row(Right.GUEST),
    ("POST", "account_login"): Row(Right.GUEST, 422),
    ("PUT", "account_login"): Row(Right.GUEST, 422),
    **{(method, "account_signup"): Row(Right.GUEST) for method in _FORM},
    ("GET", "account_logout"): Row(Right.SIGNED_IN_ELSE_SENT_ON),
    ("POST", "account_logout"): Row(Right.PUBLIC, 302),
    ("GET", "account_inactive"): Row(Right.PUBLIC),
    **{(method, "account_reauthenticate"): _MINE for method in _FORM},
    **{(method, "account_change_password"): _MINE for method in _FORM},
    **{(method, "account_set_password"): _MINE_ELSEWHERE for method in _FORM},
    ("GET", "mfa_index"): _MINE,
    # Without a sign-in under way it leads back to where one begins.
    ("GET", "mfa_authenticate"): Row(Right.PUBLIC, 302),
    ("POST", "mfa_authenticate"): Row(Right.PUBLIC, 302),
    # What changes a second factor asks for the password again first.
    **{(method, "mfa_reauthenticate"): _MINE_ELSEWHERE for method in _FORM},
    **{(method, "mfa_activate_totp"): _MINE_ELSEWHERE for method in _FORM},
    **{(method, "mfa_generate_recovery_codes"): _MINE_ELSEWHERE for method in _FORM},
    # Nobody here has one.
    **{(method, "mfa_deactivate_totp"): _MINE_NONE for method in _FORM},
    ("GET", "mfa_view_recovery_codes"): _MINE_NONE,
    ("GET", "mfa_download_recovery_codes"): _MINE_NONE,
}
"""What is neither the API's nor a page of ours: of one's own account alone, or of nobody's."""
