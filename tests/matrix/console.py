"""The console in this process, on an empty database and a Redis of its own, which holds nobody up."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django

from lab.redis_server import RedisServer
from lab.state import Run
from tests.fuzz.__main__ import environment


@contextmanager
def console() -> Iterator[None]:
    """Django is set up inside: what knows models is imported there."""
    with Run.create() as run, tempfile.TemporaryDirectory() as home:
        server = RedisServer(run)
        server.start()
        environment(Path(home), server.url)
        django.setup()
        logging.disable(logging.CRITICAL)

        from django.conf import settings
        from django.core.management import call_command
        from django.test.utils import setup_test_environment

        call_command("migrate", verbosity=0)
        setup_test_environment()
        settings.TOKEN_FAILURES, settings.ACCOUNT_RATE_LIMITS = 10**9, False
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
        yield
