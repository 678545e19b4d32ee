"""A person's word about a node, where no observation can decide: that it is dead, or that what it holds may go."""

from __future__ import annotations

from django.db import models

from console.cluster.enums import HoldState


class Death(models.Model):
    """An administrator says that the node is dead. It ends with the node's next sign of life."""

    node = models.OneToOneField(
        "cluster.Node", on_delete=models.CASCADE, primary_key=True, related_name="death"
    )
    volumes = models.BooleanField(default=False)
    """Its volumes are given up as well."""
    actor = models.CharField(max_length=200)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.node_id} is dead"


class Hold(models.Model):
    """The database seems to be a restored backup: the node knows of more than it. Until an administrator confirms, the
    node gets no assignment, so that nothing there is started or stopped."""

    node = models.OneToOneField(
        "cluster.Node", on_delete=models.CASCADE, primary_key=True, related_name="hold"
    )
    state = models.CharField(max_length=16, choices=HoldState.choices)
    at = models.DateTimeField()
    slots = models.JSONField(default=list)
    """Ids of slots whose generation the node knows to be above the database's: nothing is decided about them."""
    ahead = models.JSONField(default=list)
    """Their names."""
    unknown = models.JSONField(default=list)
    """Names of containers that run there and are not in the database."""

    def __str__(self) -> str:
        return f"{self.node_id} is {self.state}"
