"""Logins to image registries."""

from __future__ import annotations

from django.db import models

from console.accounts.models import Team
from console.common.ids import IdField


class RegistryCredential(models.Model):
    """A team's login to one registry host. The password is sealed at rest and never shown."""

    id = IdField()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="registries")
    host = models.CharField(max_length=200)
    username = models.CharField(max_length=200)
    sealed_password = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["host"]
        constraints = [models.UniqueConstraint(fields=["team", "host"], name="registry_host_unique")]

    def __str__(self) -> str:
        return f"{self.username}@{self.host}"
