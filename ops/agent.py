"""`make agent CONFIG=node.json`: this host's agent, in the foreground, with an engine and the demo image."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from lab import programs
from ops import engines, prepare
from ops.home import Home, RunError, environ
from ops.run import say


def main() -> NoReturn:
    """Becomes the agent, or ends with what stands in its way."""
    parser = argparse.ArgumentParser(prog="python -m ops.agent", description=__doc__)
    parser.add_argument("config", type=Path, help="the configuration that the nodes page showed")
    config: Path = parser.parse_args().config.absolute()
    try:
        if not config.is_file():
            raise RunError(f"there is no file {config}: add a node on the nodes page and save what it shows")
        given = environ()
        home = Home.open(given)
        docker_host, _own = engines.choose(home, given)
        say(f"engine: {docker_host}")
        prepare.load_demo_image(home, docker_host, given)
    except RunError as error:
        sys.exit(f"berth: {error}")
    given.setdefault("BERTH_DOCKER_HOST", docker_host)
    given.setdefault("BERTH_AGENT_STATE", str(home.path / "agent"))
    say("the agent runs; stop: Ctrl-C; containers go on running")
    argv = programs.agent(config)
    os.execvpe(argv[0], argv, given)


if __name__ == "__main__":
    main()
