"""Addresses of the API, below `/api/v1/`. All but oneself and the list of teams begin with a team."""

from __future__ import annotations

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from console.api.views import (
    accounts,
    apps,
    audit,
    containers,
    exec,
    forecasts,
    history,
    joining,
    members,
    metrics,
    nodes,
    people,
    quotas,
    registries,
    releases,
    rollouts,
    secrets,
    steering,
    volumes,
    webhooks,
)
from console.api.views.eventstream import event_stream
from console.api.views.logs import logs
from console.api.views.schema import SchemaView
from console.api.views.waiting import wait

app_name = "api"


class NameConverter(StringConverter):
    """Names and ids: what could be no name never reaches the database."""

    regex = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"


register_converter(NameConverter, "name")

TEAM = "teams/<slug:team>"
APP = f"{TEAM}/apps/<name:app>"
SERVICE = f"{APP}/services/<name:service>"
OPERATION = f"{TEAM}/operations/<name:operation>"
NODE = f"{TEAM}/nodes/<name:node>"
WEBHOOK = f"{TEAM}/webhooks/<name:webhook>"
DELIVERY = f"{WEBHOOK}/deliveries/<name:delivery>"

urlpatterns = [
    path("schema", SchemaView.as_view(), name="schema"),
    path("join", joining.Join.as_view(), name="join"),
    path("me", accounts.Me.as_view(), name="me"),
    path("teams", accounts.Teams.as_view(), name="teams"),
    path(TEAM, accounts.TeamDetail.as_view(), name="team"),
    path(f"{TEAM}/apps", apps.Apps.as_view(), name="apps"),
    path(APP, apps.AppDetail.as_view(), name="app"),
    path(f"{APP}/releases", releases.Releases.as_view(), name="releases"),
    path(f"{APP}/releases/<int:number>", releases.ReleaseDetail.as_view(), name="release"),
    path(f"{APP}/rollback", releases.Rollback.as_view(), name="rollback"),
    path(f"{APP}/rollout/pause", rollouts.PauseRollout.as_view(), name="pause-rollout"),
    path(f"{APP}/rollout/resume", rollouts.ResumeRollout.as_view(), name="resume-rollout"),
    path(f"{APP}/rollout/cancel", rollouts.CancelRollout.as_view(), name="cancel-rollout"),
    path(f"{APP}/restart", steering.RestartApp.as_view(), name="restart-app"),
    path(f"{APP}/stop", steering.StopApp.as_view(), name="stop-app"),
    path(f"{APP}/start", steering.StartApp.as_view(), name="start-app"),
    path(f"{APP}/containers", containers.Containers.as_view(), name="containers"),
    path(f"{TEAM}/metrics", metrics.TeamMetrics.as_view(), name="team-metrics"),
    path(f"{APP}/metrics", metrics.AppMetrics.as_view(), name="app-metrics"),
    path(f"{SERVICE}/metrics", metrics.ServiceMetrics.as_view(), name="service-metrics"),
    path(f"{SERVICE}/slots/<int:index>/metrics", metrics.SlotMetrics.as_view(), name="slot-metrics"),
    path(f"{NODE}/metrics", metrics.NodeMetrics.as_view(), name="node-metrics"),
    path(f"{TEAM}/volumes", volumes.Volumes.as_view(), name="volumes"),
    path(f"{TEAM}/volumes/<name:volume>", volumes.Volume.as_view(), name="volume"),
    path(f"{APP}/volumes", volumes.AppVolumes.as_view(), name="app-volumes"),
    path(f"{APP}/events", history.AppEvents.as_view(), name="app-events"),
    path(f"{APP}/logs", logs, name="logs"),
    path(f"{SERVICE}/scale", steering.Scale.as_view(), name="scale"),
    path(f"{SERVICE}/restart", steering.RestartService.as_view(), name="restart-service"),
    path(f"{SERVICE}/stop", steering.StopService.as_view(), name="stop-service"),
    path(f"{SERVICE}/start", steering.StartService.as_view(), name="start-service"),
    path(f"{SERVICE}/room", forecasts.ServiceRoom.as_view(), name="room"),
    path(f"{SERVICE}/slots/<int:index>", containers.SlotDetail.as_view(), name="slot"),
    path(f"{TEAM}/compose/check", apps.ComposeCheck.as_view(), name="compose-check"),
    path(f"{TEAM}/containers/<name:container>", containers.ContainerDetail.as_view(), name="container"),
    path(f"{TEAM}/containers/<name:container>/exec", exec.Exec.as_view(), name="exec"),
    path(f"{TEAM}/operations", history.Operations.as_view(), name="operations"),
    path(OPERATION, history.OperationDetail.as_view(), name="operation"),
    path(f"{OPERATION}/cancel", history.CancelOperation.as_view(), name="cancel-operation"),
    path(f"{OPERATION}/wait", wait, name="wait"),
    path(f"{TEAM}/events", history.TeamEvents.as_view(), name="events"),
    path(f"{TEAM}/events/stream", event_stream, name="event-stream"),
    path(f"{TEAM}/nodes", nodes.Nodes.as_view(), name="nodes"),
    path(NODE, nodes.NodeDetail.as_view(), name="node"),
    path(f"{NODE}/cordon", nodes.Cordon.as_view(), name="cordon"),
    path(f"{NODE}/uncordon", nodes.Uncordon.as_view(), name="uncordon"),
    path(f"{NODE}/drain", nodes.Drain.as_view(), name="drain"),
    path(f"{NODE}/undrain", nodes.Undrain.as_view(), name="undrain"),
    path(f"{NODE}/dead", nodes.Dead.as_view(), name="declare-dead"),
    path(f"{NODE}/confirm", nodes.Confirm.as_view(), name="confirm-node"),
    path(f"{NODE}/leave", joining.Leave.as_view(), name="leave"),
    path(f"{NODE}/rotate", joining.RotateCredential.as_view(), name="rotate-credential"),
    path(f"{NODE}/revoke", joining.RevokeCredential.as_view(), name="revoke-credential"),
    path(f"{TEAM}/join-tokens", joining.JoinTokens.as_view(), name="join-tokens"),
    path(f"{TEAM}/join-tokens/<name:join_token>", joining.JoinTokenDetail.as_view(), name="join-token"),
    path(f"{NODE}/what-if", forecasts.NodeWhatIf.as_view(), name="what-if"),
    path(f"{TEAM}/rebalance", forecasts.Rebalance.as_view(), name="rebalance"),
    path(f"{TEAM}/registries", registries.Registries.as_view(), name="registries"),
    path(f"{TEAM}/registries/<name:registry>", registries.Registry.as_view(), name="registry"),
    path("users", people.Users.as_view(), name="users"),
    path("users/<name:user>", people.UserDetail.as_view(), name="user"),
    path("audit", audit.PlatformAudit.as_view(), name="audit"),
    path("audit/export", audit.export_all, name="audit-export"),
    path(f"{TEAM}/audit", audit.TeamAudit.as_view(), name="team-audit"),
    path(f"{TEAM}/audit/export", audit.export_team, name="team-audit-export"),
    path(f"{APP}/audit", audit.AppAudit.as_view(), name="app-audit"),
    path(f"{TEAM}/invitations", people.Invitations.as_view(), name="invitations"),
    path(f"{TEAM}/invitations/<name:invitation>", people.Invitation.as_view(), name="invitation"),
    path(f"{TEAM}/members", members.Members.as_view(), name="members"),
    path(f"{TEAM}/members/<name:member>", members.Member.as_view(), name="member"),
    path(f"{TEAM}/leave", members.Leave.as_view(), name="leave-team"),
    path(f"{TEAM}/service-accounts", members.ServiceAccounts.as_view(), name="service-accounts"),
    path(f"{TEAM}/service-accounts/<name:account>", members.ServiceAccount.as_view(), name="service-account"),
    path(f"{APP}/members", members.AppMembers.as_view(), name="app-members"),
    path(f"{TEAM}/quota", quotas.Quota.as_view(), name="quota"),
    path(f"{TEAM}/sizes", quotas.Sizes.as_view(), name="sizes"),
    path(f"{TEAM}/sizes/<name:size>", quotas.Size.as_view(), name="size"),
    path(f"{TEAM}/secrets", secrets.TeamSecrets.as_view(), name="team-secrets"),
    path(f"{TEAM}/secrets/<name:secret>", secrets.TeamSecret.as_view(), name="team-secret"),
    path(f"{APP}/secrets", secrets.AppSecrets.as_view(), name="app-secrets"),
    path(f"{APP}/secrets/<name:secret>", secrets.AppSecret.as_view(), name="app-secret"),
    path(f"{TEAM}/webhooks", webhooks.Webhooks.as_view(), name="webhooks"),
    path(WEBHOOK, webhooks.WebhookDetail.as_view(), name="webhook"),
    path(f"{WEBHOOK}/rotate", webhooks.RotateWebhook.as_view(), name="rotate-webhook"),
    path(f"{WEBHOOK}/ping", webhooks.PingWebhook.as_view(), name="ping-webhook"),
    path(f"{WEBHOOK}/deliveries", webhooks.Deliveries.as_view(), name="deliveries"),
    path(DELIVERY, webhooks.DeliveryDetail.as_view(), name="delivery"),
    path(f"{DELIVERY}/redeliver", webhooks.Redeliver.as_view(), name="redeliver"),
    path(f"{TEAM}/tokens", accounts.Tokens.as_view(), name="tokens"),
    path(f"{TEAM}/tokens/<name:token>", accounts.Token.as_view(), name="token"),
]
