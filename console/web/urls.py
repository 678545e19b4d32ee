"""Addresses of the dashboard. A team's pages carry the team in their path."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path
from django.views.i18n import set_language

from console.web.views import (
    actions,
    app,
    apps,
    audit,
    entry,
    events,
    forecasts,
    gallery,
    help,
    invitations,
    members,
    nodes,
    overview,
    platform,
    service,
    settings,
    terminal,
    tokens,
)

app_name = "web"

of_app = [
    path("", app.overview, name="app"),
    path("releases/", app.releases, name="app-releases"),
    path("logs/", app.logs, name="app-logs"),
    path("metrics/", app.metrics, name="app-metrics"),
    path("events/", app.events, name="app-events"),
    path("compose/", app.compose, name="app-compose"),
    path("redeploy/", actions.redeploy, name="app-redeploy"),
    path("restart/", actions.restart, name="app-restart"),
    path("stop/", actions.stop, name="app-stop"),
    path("start/", actions.start, name="app-start"),
    path("delete/", actions.delete, name="app-delete"),
    path("roll-back/", actions.roll_back, name="app-roll-back"),
    path("rollout/pause/", actions.pause_rollout, name="rollout-pause"),
    path("rollout/resume/", actions.resume_rollout, name="rollout-resume"),
    path("rollout/cancel/", actions.cancel_rollout, name="rollout-cancel"),
    path("services/<str:service>/", service.service, name="service"),
    path("services/<str:service>/room/", service.room, name="service-room"),
    path("services/<str:service>/slots/<int:index>/", service.slot, name="slot"),
    path("containers/<str:container>/terminal/", terminal.terminal, name="terminal"),
    path("services/<str:service>/scale/", actions.scale, name="service-scale"),
    path("services/<str:service>/restart/", actions.restart, name="service-restart"),
    path("services/<str:service>/stop/", actions.stop, name="service-stop"),
    path("services/<str:service>/start/", actions.start, name="service-start"),
]

of_team: list[URLPattern | URLResolver] = [
    path("", overview.overview, name="overview"),
    path("apps/", apps.app_list, name="apps"),
    path("apps/new/", apps.from_image, name="app-new"),
    path("apps/new/compose/", apps.from_compose, name="app-new-compose"),
    path("apps/demo/deploy/", apps.deploy_demo, name="app-demo"),
    path("apps/<str:name>/", include(of_app)),
    path("nodes/", nodes.node_list, name="nodes"),
    path("nodes/add/", nodes.add, name="node-add"),
    path("nodes/<str:name>/", nodes.node, name="node"),
    path("nodes/<str:name>/cordon/", nodes.cordon, name="node-cordon"),
    path("nodes/<str:name>/drain/", nodes.drain, name="node-drain"),
    path("nodes/<str:name>/dead/", nodes.dead, name="node-dead"),
    path("nodes/<str:name>/confirm/", nodes.confirm, name="node-confirm"),
    path("nodes/<str:name>/what-if/", forecasts.node_what_if, name="node-what-if"),
    path("nodes/<str:name>/remove/", nodes.remove, name="node-remove"),
    path("rebalance/", forecasts.rebalance, name="rebalance"),
    path("rebalance/moves/", forecasts.make_moves, name="rebalance-moves"),
    path("events/", events.event_list, name="events"),
    path("settings/", settings.overview, name="settings"),
    path("settings/logs/", settings.set_log_retention, name="log-retention"),
    path("settings/name/", settings.rename, name="team-rename"),
    path("settings/tokens/", tokens.tokens, name="tokens"),
    path("settings/tokens/<str:token>/revoke/", tokens.revoke, name="token-revoke"),
    path("settings/members/", members.members, name="members"),
    path("settings/members/leave/", members.leave, name="team-leave"),
    path("settings/members/<str:principal>/role/", members.set_role, name="member-role"),
    path("settings/members/<str:principal>/remove/", members.remove, name="member-remove"),
    path("settings/invitations/", members.invite, name="invite"),
    path(
        "settings/invitations/<str:invitation>/revoke/", members.revoke_invitation, name="invitation-revoke"
    ),
    path("settings/service-accounts/", members.create_service_account, name="service-account-create"),
    path("settings/app-roles/", members.set_app_role, name="app-role"),
    path("settings/audit/", audit.audit, name="audit"),
    path("settings/platform/", platform.platform, name="platform"),
    path("settings/platform/teams/", platform.new_team, name="team-create"),
    path("settings/platform/users/<str:user>/", platform.set_user, name="user-change"),
    path("settings/registries/", settings.store_registry, name="registry-store"),
    path("settings/registries/<str:registry>/delete/", settings.delete_registry, name="registry-delete"),
]

urlpatterns = [
    path("", entry.home, name="home"),
    path("help/errors/", help.errors, name="errors"),
    path("sign-in/", entry.sign_in, name="sign-in"),
    path("sign-in/<str:secret>/", entry.sign_in_by_link, name="sign-in-link"),
    path("sign-out/", entry.sign_out, name="sign-out"),
    path("invitations/<str:secret>/", invitations.invitation, name="invitation"),
    path("account/", entry.profile, name="profile"),
    path("language/", set_language, name="set-language"),
    path("components/", gallery.components, name="components"),
    path("t/<slug:team>/", include(of_team)),
]
