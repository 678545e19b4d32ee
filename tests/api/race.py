"""The same write many times at once, as a program (`tests/programs.py`). Prints what came of it, as JSON."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import django

TIMES = 20


def main() -> None:
    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    from console.accounts.access import team_access
    from console.accounts.services import create_first_owner
    from console.accounts.tokens import create_token
    from console.api.models import KeptAnswer
    from console.workloads.models import App, Release

    call_command("migrate", verbosity=0)
    user, team = create_first_owner(email="owner@example.com")
    secret = create_token(team_access(user, team.slug), name="race")[1]
    barrier = Barrier(TIMES, timeout=60)
    body = {"name": "shop", "compose": "services:\n  web:\n    image: berth/demo\n"}
    headers = {"authorization": f"Bearer {secret}", "idempotency-key": "once"}

    def post(_number: int) -> dict[str, Any]:
        client = Client(raise_request_exception=False)
        barrier.wait()
        try:
            path = f"/api/v1/teams/{team.slug}/apps"
            answer = client.post(path, json.dumps(body), "application/json", headers=headers)
            return {
                "status": answer.status_code,
                "body": answer.content.decode(),
                "location": answer.headers.get("Location"),
                "replayed": "Idempotency-Replayed" in answer.headers,
            }
        finally:
            connection.close()

    with ThreadPoolExecutor(TIMES) as threads:
        answers = list(threads.map(post, range(TIMES)))
    rows = {kind.__name__: kind.objects.count() for kind in (App, Release, KeptAnswer)}
    print(json.dumps({"answers": answers, "rows": rows, "secret": secret}))


if __name__ == "__main__":
    main()
