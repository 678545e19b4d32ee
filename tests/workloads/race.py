"""Fifty deploys at once, into a quota with room for ten, as a program (`tests/programs.py`). Prints what came of each
and what is in use at the end, as JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import django

TIMES = 50
ROOM = 10
REPLICAS = 2


def main() -> None:
    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from console.accounts.access import team_access
    from console.accounts.models import Quota
    from console.accounts.services import create_first_owner
    from console.common.errors import BerthError
    from console.workloads.quotas import use_of
    from console.workloads.services import create_app

    call_command("migrate", verbosity=0)
    user, team = create_first_owner(email="owner@example.com")
    access = team_access(user, team.slug)
    Quota.objects.update_or_create(team=team, defaults={"containers": ROOM * REPLICAS})
    compose = f"services: {{web: {{image: berth/demo, deploy: {{replicas: {REPLICAS}}}}}}}"
    barrier = Barrier(TIMES, timeout=60)

    def create(number: int) -> str:
        barrier.wait()
        try:
            create_app(access, name=f"app{number}", compose=compose)
        except BerthError as error:
            return error.code
        else:
            return "made"
        finally:
            connection.close()

    with ThreadPoolExecutor(TIMES) as threads:
        outcomes = Counter(threads.map(create, range(TIMES)))
    used = use_of(team).used
    print(json.dumps({"outcomes": outcomes, "apps": used.apps, "containers": used.containers}))


if __name__ == "__main__":
    main()
