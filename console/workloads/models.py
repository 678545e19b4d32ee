"""Apps, their releases and rollouts, the slots they want filled, and the containers that fill them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from django.db import models

from console.accounts.models import Team
from console.cluster.models import Node
from console.common.ids import IdField
from console.common.quick import QuickRows
from console.workloads.compose import Project
from console.workloads.enums import (
    ContainerState,
    Health,
    OperationKind,
    OperationState,
    ReleaseState,
    RolloutState,
)


class App(QuickRows, models.Model):
    """A Compose project of one team. Desired state."""

    id = IdField()
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="apps")
    name = models.CharField(max_length=40)
    stopped = models.BooleanField(default=False)
    deleting = models.BooleanField(default=False)
    delete_volumes = models.BooleanField(default=False)
    claimed_containers = models.BigIntegerField(default=0)
    claimed_cpu = models.BigIntegerField(default=0)
    claimed_memory = models.BigIntegerField(default=0)
    """Of its team's quota (console/workloads/quotas.py)."""
    surge_containers = models.BigIntegerField(default=0)
    surge_cpu = models.BigIntegerField(default=0)
    surge_memory = models.BigIntegerField(default=0)
    """On top, while a rollout is under way."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["team", "name"], condition=models.Q(deleting=False), name="app_name_unique"
            )
        ]
        indexes = [models.Index(fields=["team", "name", "id"], name="app_by_name")]

    def __str__(self) -> str:
        return self.name


class Release(QuickRows, models.Model):
    """An immutable, numbered snapshot of an app's whole Compose model. Only its images are filled in later."""

    id = IdField()
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="releases")
    number = models.IntegerField()
    compose = models.TextField()
    variables = models.JSONField(default=dict)
    files = models.JSONField(default=dict)
    model = models.JSONField()
    warnings = models.JSONField(default=list)
    rolled_back_from = models.IntegerField(null=True)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    state = models.CharField(max_length=16, choices=ReleaseState.choices, default=ReleaseState.RESOLVING)
    error = models.TextField(blank=True)
    images = models.JSONField(default=dict)
    """By service: {"image": identity the engine runs, "local": whether no registry has it}."""
    digests = models.JSONField(default=dict)
    """Spec digest by service, once the images are known."""
    secrets = models.JSONField(default=dict)
    """Id of the version of each secret that its services take, by top-level name."""

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["app", "number"], name="release_number_unique")]

    def __str__(self) -> str:
        return f"{self.app.name} #{self.number}"

    @property
    def project(self) -> Project:
        return msgspec.convert(self.model, Project)


class Secret(models.Model):
    """A name under which a team, or an app of it, keeps a value. The value is in its versions, sealed."""

    id = IdField()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="secrets")
    app = models.ForeignKey(App, on_delete=models.CASCADE, null=True, related_name="secrets")
    name = models.CharField(max_length=63)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["app", "name"], name="secret_of_app_unique"),
            models.UniqueConstraint(
                fields=["team", "name"], condition=models.Q(app=None), name="secret_of_team_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class SecretVersion(models.Model):
    """One value of a secret. It never changes; only the master key that wraps its data key may."""

    id = IdField()
    secret = models.ForeignKey(Secret, on_delete=models.CASCADE, related_name="versions")
    number = models.IntegerField()
    sealed = models.BinaryField()
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["secret", "number"], name="secret_version_unique")]

    def __str__(self) -> str:
        return f"{self.secret.name} v{self.number}"


class Service(QuickRows, models.Model):
    """What is wanted of one entry of the Compose file beyond the file: scale and stop outlive releases."""

    id = IdField()
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="services")
    name = models.CharField(max_length=63)
    replicas = models.IntegerField(default=1)
    """Wanted now: the file's number, until scaled; a release that changes the file's number sets it anew."""
    stopped = models.BooleanField(default=False)
    restart_at = models.DateTimeField(null=True)
    """Containers that started earlier are replaced one by one."""
    present = models.BooleanField(default=True)
    """Whether the newest release that became ready has it."""
    is_command = models.BooleanField(default=False)
    """It is a release command, in no file as a service, and only there while that runs."""

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["app", "name"], name="service_name_unique")]

    def __str__(self) -> str:
        return self.name


def volume_name(app_id: str, name: str) -> str:
    """The engine's name of an app's volume."""
    return f"berth-{app_id}-{name}".lower()


class Volume(models.Model):
    """A named local volume of an app. Its first user's node becomes its own; it may outlive its app."""

    id = IdField()
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="volumes")
    app = models.ForeignKey(App, on_delete=models.SET_NULL, null=True, related_name="volumes")
    app_ref = models.CharField(max_length=16, db_index=True)
    """The app's id, also once the app is gone: the engine's name is made of it."""
    app_name = models.CharField(max_length=40)
    name = models.CharField(max_length=64)
    node = models.ForeignKey(Node, on_delete=models.PROTECT, null=True, related_name="volumes")
    created_at = models.DateTimeField(auto_now_add=True)
    kept_at = models.DateTimeField(null=True)
    """When its app was deleted and it was kept."""
    deleting = models.BooleanField(default=False)
    forget = models.BooleanField(default=False)
    """Deleting it means no more than to forget it: its node is gone for good."""

    # Observed.
    bytes = models.BigIntegerField(null=True)
    measured_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["app", "name"], name="volume_name_unique")]

    def __str__(self) -> str:
        return self.name

    @property
    def engine_name(self) -> str:
        return volume_name(self.app_ref, self.name)

    @property
    def key(self) -> str:
        """As containers and the scheduler name it."""
        return f"{self.app_ref}/{self.name}"


class Explanation(models.Model):
    """Why slots of one service went where they did, or wait: of one placement, for all the slots that it
    decided together. Old ones go when no slot points at them any more."""

    id = IdField()
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="explanations")
    service = models.CharField(max_length=63)
    at = models.DateTimeField()
    nodes = models.IntegerField()
    """How many there were."""
    fitting = models.IntegerField()
    summary = models.TextField()
    remedies = models.JSONField(default=list)
    """What would make it fit, as sentences."""
    refused = models.JSONField(default=list)
    """[{"filter", "reason", "count", "names"}, …], the most frequent first; a few names of each."""
    verdicts = models.JSONField(default=list)
    """[{"node", "name", "refusal": {…} or None, "scores": {part: value}}, …], the best first, at most `MOST`."""

    MOST = 50

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return str(self.summary)


class Slot(QuickRows, models.Model):
    """The n-th place of a service. It outlives the containers that fill it."""

    id = IdField()
    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="slots")
    index = models.IntegerField()
    generation = models.BigIntegerField(default=0)
    failures = models.IntegerField(default=0)
    not_before = models.DateTimeField(null=True)
    retired = models.BooleanField(default=False)
    """Wanted no more, and nothing of it is left; kept for its history, taken up again by scaling."""
    pending = models.TextField(blank=True)
    """Why it is not filled, as a sentence; empty otherwise."""
    node = models.ForeignKey(Node, on_delete=models.PROTECT, null=True, related_name="slots")
    """Of a global service: the node it is for."""
    explanation = models.ForeignKey(Explanation, on_delete=models.SET_NULL, null=True, related_name="slots")
    """Of its last placement, good or bad."""
    scores = models.JSONField(default=dict)
    """By part, of the node it was placed on, at its turn."""

    class Meta:
        ordering = ["index"]
        constraints = [models.UniqueConstraint(fields=["service", "index"], name="slot_index_unique")]

    def __str__(self) -> str:
        return f"{self.service.name}.{self.index}"


class Container(QuickRows, models.Model):
    """One attempt to fill a slot, on one node, from one release. Never moved, only replaced."""

    id = IdField()
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="containers")
    slot = models.ForeignKey(Slot, on_delete=models.CASCADE, related_name="containers")
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="containers")
    node = models.ForeignKey(Node, on_delete=models.PROTECT, null=True, related_name="containers")
    """Empty once the node was removed from the cluster: of its containers that had ended, the records stay."""
    former_node = models.CharField(max_length=40, blank=True, default="", db_default="")
    """The name of the node it was on, once that was removed."""
    generation = models.BigIntegerField()
    name = models.CharField(max_length=120)
    digest = models.CharField(max_length=64)
    image = models.CharField(max_length=300)
    cpu = models.BigIntegerField()
    memory = models.BigIntegerField()
    pids = models.BigIntegerField()
    """What it holds of its node."""
    cpu_limit = models.BigIntegerField()
    memory_limit = models.BigIntegerField()
    ports = models.JSONField(default=list)
    """[[host, container, protocol], …] as given by the scheduler."""
    volumes = models.JSONField(default=list)
    grants = models.JSONField(default=list)
    """[[kind, [unit, …], share], …]: the generic resources it was given."""
    priority = models.IntegerField(default=0)
    move_to = models.ForeignKey(Node, on_delete=models.SET_NULL, null=True, related_name="+")
    """A rebalance wants its slot there."""
    created_at = models.DateTimeField()

    # Observed, and the one lifecycle that both sides move.
    state = models.CharField(max_length=16, choices=ContainerState.choices, default=ContainerState.ASSIGNED)
    health = models.CharField(max_length=16, choices=Health.choices, default=Health.NONE)
    engine_id = models.CharField(max_length=64, blank=True)
    restarts = models.IntegerField(default=0)
    recent_restarts = models.JSONField(default=list)
    """Times (ISO) of restarts by the engine in the last ten minutes."""
    exit_code = models.IntegerField(null=True)
    oom = models.BooleanField(default=False)
    error = models.TextField(blank=True)
    fatal = models.BooleanField(default=False)
    stop_reason = models.CharField(max_length=200, blank=True)
    last_lines = models.JSONField(default=list)
    oom_events = models.IntegerField(default=0)
    """How often something in it was killed for lack of memory since its start, as its agent counts."""
    log_lost = models.CharField(max_length=400, blank=True)
    """Why its log was not kept when it was removed."""
    progress = models.CharField(max_length=300, blank=True)
    started_at = models.DateTimeField(null=True)
    healthy_at = models.DateTimeField(null=True)
    """When it last became healthy; empty while it is not."""
    unhealthy_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)
    observed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["slot", "generation"], name="container_generation_unique"),
            models.CheckConstraint(
                condition=models.Q(node__isnull=False) | models.Q(removed_at__isnull=False),
                name="container_there_has_node",
            ),
        ]
        indexes = [
            models.Index(fields=["node"], condition=models.Q(removed_at=None), name="container_on_node"),
            models.Index(fields=["app"], condition=models.Q(removed_at=None), name="container_of_app"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def container_state(self) -> ContainerState:
        return ContainerState(self.state)

    @property
    def health_state(self) -> Health:
        return Health(self.health)

    @property
    def node_name(self) -> str:
        """Of the node that it is or was on."""
        return self.node.name if self.node else self.former_node

    @property
    def urls(self) -> list[str]:
        """Where its published TCP ports are reached."""
        if self.node is None:
            return []
        host = self.node.address or self.node.name
        return [f"http://{host}:{port}" for port, _inside, protocol in self.ports if protocol == "tcp"]


class Operation(QuickRows, models.Model):
    """What a 202 points at: a change under way, its steps, and how it ended."""

    id = IdField()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="operations")
    app_id = models.CharField(max_length=16, db_index=True)
    app_name = models.CharField(max_length=40)
    kind = models.CharField(max_length=16, choices=OperationKind.choices)
    target = models.CharField(max_length=120, blank=True)
    """What of the app: a service, a release."""
    state = models.CharField(max_length=16, choices=OperationState.choices, default=OperationState.RUNNING)
    steps: models.JSONField[list[dict[str, Any]]] = models.JSONField(default=list)
    """[{"at": ISO time, "text": sentence}, …]"""
    error = models.TextField(blank=True)
    actor = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    ended_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["team", "-created_at", "-id"], name="operation_of_team"),
            models.Index(fields=["app_id", "-created_at", "-id"], name="operation_of_app"),
            models.Index(fields=["app_id"], condition=models.Q(state="running"), name="operation_running"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.app_name}"


class Rollout(QuickRows, models.Model):
    """The work of moving an app's services to a release. One runs per app; a newer one supersedes it."""

    id = IdField()
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="rollouts")
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="rollouts")
    operation = models.ForeignKey(Operation, on_delete=models.SET_NULL, null=True, related_name="rollouts")
    state = models.CharField(max_length=16, choices=RolloutState.choices, default=RolloutState.RUNNING)
    reason = models.TextField(blank=True)
    rollback = models.BooleanField(default=False)
    """It goes back to an earlier release: rollback_config holds."""
    started_at = models.DateTimeField()
    deadline = models.DateTimeField()
    paused_at = models.DateTimeField(null=True)
    """When a person paused it; resuming moves the deadline on by the pause."""
    failed_container = models.ForeignKey(
        Container, on_delete=models.SET_NULL, null=True, related_name="failed_rollouts"
    )
    """The one whose end decided that it failed: its last lines are there."""
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["app"],
                condition=models.Q(state__in=["running", "paused"]),
                name="one_rollout_per_app",
            )
        ]

    def __str__(self) -> str:
        return f"rollout of {self.release}"
