"""`make stop`: ends the containers and the engine that `make run` left running. Data stays."""

from __future__ import annotations

import sys

from lab.engine import Engine
from ops import engines
from ops.home import Home, RunError, environ
from ops.run import alone, say


def stop(engine: Engine) -> None:
    """Containers first: with live-restore they would outlive the engine."""
    engine.start()
    with engine.client() as client:
        for container in client.containers.list():
            say(f"stopping {container.name}")
            container.stop()
    engine.stop()


def main() -> int:
    try:
        home = Home.open(environ())
        with alone(home):
            engine = engines.own(home)
            if not engine.process.alive:
                say("there is no engine of its own running")
                return 0
            stop(engine)
            say("stopped")
    except RunError as error:
        print(f"berth: {error}: stop it first (Ctrl-C)", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
