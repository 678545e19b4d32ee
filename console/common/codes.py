"""What each error code of the API means, and what to do. Each error links to this, as a page."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.translation import gettext_lazy as _


class Meaning(NamedTuple):
    status: int
    text: object
    """Translatable."""


MEANINGS: dict[str, Meaning] = {
    "invalid": Meaning(400, _("The input is not right. “fields” names each wrong field, by its path.")),
    "parse_error": Meaning(400, _("The body is no JSON, or nested too deeply.")),
    "compose_invalid": Meaning(400, _("The Compose file is wrong. “data.problems” names the lines.")),
    "unsupported_version": Meaning(403, _("The agent and the console do not speak the same protocol.")),
    "not_authenticated": Meaning(401, _("Send a token: Authorization: Bearer berth_….")),
    "authentication_failed": Meaning(
        401, _("The token is unknown, has expired or was revoked. Make another one.")
    ),
    "token_unknown": Meaning(403, _("Nobody has this join token.")),
    "token_expired": Meaning(403, _("The join token has expired. Make another one.")),
    "token_used": Meaning(403, _("A host has joined with this join token. Each is good once.")),
    "token_revoked": Meaning(403, _("The join token was revoked.")),
    "forbidden": Meaning(403, _("Your role, or the token's scope, does not allow this.")),
    "token_scope": Meaning(
        403, _("The token lacks the verb for this, or it needs a person who is signed in.")
    ),
    "two_factor_required": Meaning(
        403, _("The team, or the platform, asks for a second factor: set one up under Account → Security.")
    ),
    "not_found": Meaning(404, _("It is not there, or belongs to another team.")),
    "method_not_allowed": Meaning(
        405, _("The address does not know this method. “Allow” names those it does.")
    ),
    "not_acceptable": Meaning(406, _("The API answers in JSON: allow it in Accept.")),
    "conflict": Meaning(409, _("It cannot be done as things stand. “data.operation” is what is in the way.")),
    "name_taken": Meaning(409, _("The name is in use. Choose another one.")),
    "app_deleting": Meaning(409, _("The app is being deleted and takes no more changes.")),
    "release_not_ready": Meaning(409, _("The release's images were never resolved. Choose another one.")),
    "release_unreadable": Meaning(409, _("The release cannot be read as it is stored. Choose another one.")),
    "release_command": Meaning(409, _("A release command runs by itself, once per release.")),
    "global_service": Meaning(409, _("A global service runs once on every node that fits; it has no scale.")),
    "no_rollout": Meaning(409, _("No rollout is under way.")),
    "rollout_paused": Meaning(409, _("The rollout is paused already.")),
    "rollout_running": Meaning(409, _("The rollout is not paused.")),
    "rollout_is_rollback": Meaning(409, _("The rollout goes back already. Roll out another release.")),
    "no_earlier_release": Meaning(409, _("No earlier release was rolled out well.")),
    "two_factor_first": Meaning(
        409, _("Whoever asks others for a second factor has one. Set up yours first.")
    ),
    "last_owner": Meaning(409, _("A team keeps one owner. Make somebody else an owner first.")),
    "member_is_owner": Meaning(409, _("Owners own every app of the team; no app gives them another role.")),
    "member_exists": Meaning(409, _("That person is in the team already.")),
    "last_administrator": Meaning(409, _("One platform administrator stays. Make somebody else one first.")),
    "secret_in_use": Meaning(409, _("Apps take the secret. Deploy them without it first.")),
    "secret_missing": Meaning(422, _("The file takes secrets that are not there: store them first.")),
    "too_many_secrets": Meaning(409, _("There are as many secrets as there may be. Delete one first.")),
    "too_many_webhooks": Meaning(409, _("There are as many webhooks as there may be. Delete one first.")),
    "webhook_inactive": Meaning(409, _("The webhook is paused or disabled. Activate it first.")),
    "volume_in_use": Meaning(409, _("Containers use the volume, or an app's file names it.")),
    "node_answers": Meaning(409, _("The node answers: delete the volume instead of forgetting it.")),
    "node_not_down": Meaning(409, _("Only a node that is down can be declared dead. Drain it instead.")),
    "node_not_held": Meaning(409, _("The node waits for no confirmation.")),
    "not_cancellable": Meaning(409, _("An operation of this kind cannot be taken back, or it has ended.")),
    "not_running": Meaning(409, _("The container does not run.")),
    "node_in_use": Meaning(409, _("Containers or volumes are on the node. Drain it first.")),
    "idempotency_mismatch": Meaning(
        409, _("The Idempotency-Key was used for another request within a day. Take a new one.")
    ),
    "idempotency_unreadable": Meaning(
        409, _("The answer was kept under another secret key of the console. Look whether it is done.")
    ),
    "length_required": Meaning(411, _("Send a Content-Length; chunks are not taken.")),
    "precondition_failed": Meaning(
        412, _("It has changed since you read the ETag in If-Match. Read it again, then decide.")
    ),
    "too_large": Meaning(413, _("The request is larger than the console takes.")),
    "unsupported_media_type": Meaning(415, _("Send JSON, as Content-Type: application/json.")),
    "does_not_fit": Meaning(
        422, _("No node could ever hold it. The message says what is asked and what there is.")
    ),
    "quota_exceeded": Meaning(
        422, _("The team's quota does not allow it. “data” has what is used, asked and allowed.")
    ),
    "throttled": Meaning(429, _("Too many requests. Wait for as many seconds as Retry-After says.")),
    "internal": Meaning(500, _("Something went wrong on the console's side. Its log has the request id.")),
    "unavailable": Meaning(503, _("The database or Redis is busy or away. Try again in a moment.")),
    "redis_away": Meaning(503, _("Redis is away. Try again in a moment.")),
    "certificates": Meaning(
        503, _("The console's certificates cannot be used. Its operator must mend them.")
    ),
}
