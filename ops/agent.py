"""`make agent CONFIG=node.json`, or `make join ARGS="--console …"`: this host's agent, in the foreground, with an
engine and the demo image."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from lab import programs
from nodeagent import join
from ops import engines, prepare
from ops.home import Home, RunError, environ
from ops.run import say


def main() -> NoReturn:
    """Becomes the agent, or ends with what stands in its way."""
    arguments = sys.argv[1:]
    joining = arguments[:1] == ["join"]
    if not joining and len(arguments) != 1:
        sys.exit("usage: python -m ops.agent CONFIG | python -m ops.agent join --console URL --token TOKEN …")
    try:
        given = environ()
        home = Home.open(given)
        config = home.path / "agent" / "config.json" if joining else Path(arguments[0]).absolute()
        if not (joining or config.is_file()):
            raise RunError(f"there is no file {config}: add a node on the nodes page and save what it shows")
        docker_host, _own = engines.choose(home, given)
        say(f"engine: {docker_host}")
        prepare.load_demo_image(home, docker_host, given)
    except RunError as error:
        sys.exit(f"berth: {error}")
    state = given.setdefault("BERTH_AGENT_STATE", str(home.path / "agent"))
    given.setdefault("BERTH_DOCKER_HOST", docker_host)
    if joining:
        places = ["--config", str(config), "--state-dir", state, "--docker-host", given["BERTH_DOCKER_HOST"]]
        if join.main([*places, *arguments[1:]]):
            sys.exit(1)
    say("the agent runs; stop: Ctrl-C; containers go on running")
    argv = programs.agent(config)
    os.execvpe(argv[0], argv, given)


if __name__ == "__main__":
    main()
