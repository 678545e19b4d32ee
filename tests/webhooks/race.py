"""Writers of events, and workers that deliver, as programs on one database: `setup URL`, `write N`, `work`."""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from random import Random

import django


def main(verb: str, argument: str) -> None:
    django.setup()
    from django.core.management import call_command

    if verb == "setup":
        call_command("migrate", verbosity=0)
        setup(argument)
    elif verb == "write":
        print(json.dumps(write(int(argument))))
    else:
        work()


def setup(url: str) -> None:
    from console.accounts.access import team_access
    from console.accounts.services import create_first_owner
    from console.webhooks.services import create_webhook

    user, team = create_first_owner(email="owner@example.com")
    create_webhook(team_access(user, team.slug), name="race", url=url, kinds=["race"])


def write(seed: int) -> list[int]:
    """Events of short and long transactions, some rolled back; ids of those that are committed."""
    from django.db import connection, transaction

    from console.accounts.models import Team
    from console.common import events

    team, chance, done = Team.objects.get().pk, Random(seed), []
    slow = connection.vendor != "sqlite"
    for _each in range(60):
        with transaction.atomic():
            event = events.record("race.run", "x", actor="test", team=team)
            if slow and chance.random() < 0.3:
                time.sleep(chance.uniform(0, 0.2))
            undone = chance.random() < 0.3
            transaction.set_rollback(undone)
        done += [] if undone else [event.pk]
        time.sleep(0.01)
    return done


def work() -> None:
    from django.db import OperationalError

    from console.webhooks import delivering

    delivering.LEASE = timedelta(seconds=5)
    while True:
        try:
            delivering.deliver()
        except OperationalError as error:
            print(error, file=sys.stderr)  # as the worker: the next run goes on
        time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
