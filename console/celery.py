"""The console's own Celery app: retention and other work that no request waits for."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Any

from celery import Celery
from celery.signals import beat_embedded_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    ["console.workloads", "console.cluster", "console.accounts", "console.webhooks", "console.api"]
)

_PR_SET_PDEATHSIG = 1


@beat_embedded_init.connect
def _end_with_the_worker(**_about: Any) -> None:
    """The clock process of a worker that was killed would ring for ever, beside its successor's. See prctl(2)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
