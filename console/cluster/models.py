"""The cluster, its nodes, and the outbox of jobs to them."""

from __future__ import annotations

from django.db import models

from console.cluster.enums import JobKind, NodeState
from console.cluster.lost import Death, Hold
from console.cluster.tokens import Departure, FormerCredential, JoinToken, Rotation
from console.common.ids import IdField
from console.common.quick import QuickRows


class Cluster(models.Model):
    """This installation: one row. Containers carry its id, so that two consoles never fight over a host."""

    id = IdField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.id)


class Node(QuickRows, models.Model):
    """A host with a Docker Engine and one agent."""

    id = IdField()
    name = models.SlugField(max_length=40, unique=True)
    zone = models.CharField(max_length=40, blank=True)
    labels = models.JSONField(default=dict, blank=True)
    cordoned = models.BooleanField(default=False)
    draining = models.BooleanField(default=False)
    """An operator wants it empty."""
    token_digest = models.CharField(max_length=64, unique=True)
    broker_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    # Observed, written by the controller alone.
    state = models.CharField(max_length=16, choices=NodeState.choices, default=NodeState.JOINING)
    state_reason = models.CharField(max_length=300, blank=True)
    session = models.BigIntegerField(default=0)
    synced_session = models.BigIntegerField(default=0)
    address = models.CharField(max_length=200, blank=True)
    agent_version = models.CharField(max_length=40, blank=True)
    protocol = models.IntegerField(default=0)
    engine = models.JSONField(default=dict)
    observed_labels = models.JSONField(default=dict)
    cpu = models.BigIntegerField(default=0)
    memory = models.BigIntegerField(default=0)
    pids = models.BigIntegerField(default=0)
    disk = models.BigIntegerField(default=0)
    """Bytes that containers may reserve; 0: unknown."""
    disk_total = models.BigIntegerField(default=0, db_default=0)
    """Of the file system with the engine's data; 0: unknown."""
    disk_free = models.BigIntegerField(default=0, db_default=0)
    """To about a hundredth of the total."""
    disk_low = models.BooleanField(default=False, db_default=False)
    """So little is free that nothing new is placed there."""
    resources = models.JSONField(default=dict)
    """Whole units of generic resources: {"gpu": 2}."""
    port_first = models.IntegerField(default=0)
    port_last = models.IntegerField(default=0)
    public_key = models.BinaryField(default=bytes)
    images = models.JSONField(default=list)
    overlay = models.JSONField(default=dict)
    """What its agent says of the engines' swarm; empty: it is to stay off networks across hosts."""
    off_overlay = models.CharField(max_length=200, blank=True)
    """Why nothing that needs the overlay can start here, as a verb and more; empty where it can, or none is wanted."""
    foreign_containers = models.IntegerField(default=0)
    digest = models.CharField(max_length=64, blank=True)
    engine_failed_at = models.DateTimeField(null=True)
    contact_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def all_labels(self) -> dict[str, str]:
        """The agent's own labels with the console's on top."""
        return {**self.observed_labels, **self.labels}

    @property
    def image_bytes(self) -> int:
        """What all its images take at most: of layers that several share there is one. 0: not told."""
        return sum(int(image.get("size", 0)) for image in self.images)

    @property
    def node_state(self) -> NodeState:
        return NodeState(self.state)


class Job(QuickRows, models.Model):
    """One instruction to one node, saved in the transaction that decided it. `payload` holds no secret."""

    id = IdField()
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="jobs")
    kind = models.CharField(max_length=16, choices=JobKind.choices)
    container_id = models.CharField(max_length=16, blank=True)
    release_id = models.CharField(max_length=16, blank=True)
    payload = models.JSONField()
    registry_id = models.CharField(max_length=16, blank=True)
    """Registry credential to seal into the job when it is sent."""
    created_at = models.DateTimeField()
    ring_at = models.DateTimeField(null=True)
    """When to send it (again); empty once it ended."""
    rings = models.IntegerField(default=0)
    """How often it was sent without a receipt."""
    attempts = models.IntegerField(default=0)
    """How often the node tried and failed."""
    received_at = models.DateTimeField(null=True)
    progress = models.CharField(max_length=300, blank=True)
    done_at = models.DateTimeField(null=True)
    ok = models.BooleanField(null=True)
    message = models.TextField(blank=True)
    result = models.JSONField(default=dict)
    """Of a pull: the image that the name stands for, or {"fatal": …}: whether any other node would fail as well."""

    class Meta:
        indexes = [
            models.Index(fields=["ring_at"], condition=models.Q(done_at=None), name="job_due"),
            models.Index(fields=["container_id"], condition=models.Q(done_at=None), name="job_container"),
            models.Index(fields=["node"], condition=models.Q(done_at=None), name="job_open_node"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.container_id or self.id}"


__all__ = [
    "Cluster",
    "Death",
    "Departure",
    "FormerCredential",
    "Hold",
    "Job",
    "JoinToken",
    "Node",
    "Rotation",
]
