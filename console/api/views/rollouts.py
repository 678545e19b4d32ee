"""Holding a rollout, letting it go on, and going back."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.inputs import NoInput, checked
from console.api.views.base import ACCEPTED, AppView, accepted
from console.workloads import rollouts


class PauseRollout(AppView):
    @extend_schema(operation_id="pause_rollout", request=None, responses={202: ACCEPTED})
    def post(self, request: Request, team: str, app: str) -> Response:
        """Replace nothing more until it is resumed; its deadline stands still."""
        checked(NoInput, request.data)
        return accepted(self.access, rollouts.pause_rollout(self.access, self.app))


class ResumeRollout(AppView):
    @extend_schema(operation_id="resume_rollout", request=None, responses={202: ACCEPTED})
    def post(self, request: Request, team: str, app: str) -> Response:
        """Go on with a paused rollout."""
        checked(NoInput, request.data)
        return accepted(self.access, rollouts.resume_rollout(self.access, self.app))


class CancelRollout(AppView):
    @extend_schema(operation_id="cancel_rollout", request=None, responses={202: ACCEPTED})
    def post(self, request: Request, team: str, app: str) -> Response:
        """Go back to the last release that was rolled out well. The operation is the rollback's."""
        checked(NoInput, request.data)
        return accepted(self.access, rollouts.cancel_rollout(self.access, self.app))
