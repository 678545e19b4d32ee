"""The console's own Celery app: retention and other work that no request waits for."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    ["console.workloads", "console.cluster", "console.accounts", "console.webhooks", "console.api"]
)
