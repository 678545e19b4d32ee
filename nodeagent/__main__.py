"""`python -m nodeagent`: run the agent of this host until SIGTERM or SIGINT. Containers go on without it."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from nodeagent import join
from nodeagent.agent import Agent
from nodeagent.config import load
from nodeagent.errors import AgentError, BadConfig
from nodeagent.runtime.engine import DockerRuntime
from nodeagent.vault import Vault

log = logging.getLogger("nodeagent")

EXIT_CONFIG = 78
EXIT_BROKEN = 70
EXIT_ENDED = 77
"""The console has no more use for this agent: starting it again cannot help."""
WATCH_EVERY = 1.0


def main() -> int:
    if sys.argv[1:2] == ["join"]:
        return join.main(sys.argv[2:])
    options = _options()
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("urllib3", "websockets", "kombu", "celery"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        config = load(options.config)
        redactor = Vault(config.secrets_dir).redactor
        runtime = DockerRuntime(config.docker_host, tls_dir=config.docker_tls_dir, redactor=redactor)
        agent = Agent(config, runtime, runtime.swarm)
    except (BadConfig, AgentError) as error:
        sys.stderr.write(f"berth agent: {error}\n")
        return EXIT_CONFIG
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    agent.start()
    log.info("agent of node %s started; console %s", config.node, config.link_url)
    code = watch(agent, stop)
    agent.stop()
    return code


def watch(agent: Agent, stop: threading.Event) -> int:
    """Until told to stop (0), until the console ends this agent, or until a part that must run has ended."""
    while not stop.wait(WATCH_EVERY):
        if agent.link.ended:
            log.critical("%s", agent.link.ended)
            return EXIT_ENDED
        dead = agent.dead_thread()
        if dead:
            log.critical(
                "the thread %r has ended; the agent exits so that its supervisor starts it anew", dead
            )
            return EXIT_BROKEN
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m nodeagent", description=__doc__)
    parser.add_argument("--config", type=Path, help="TOML or JSON file; the environment overrides it")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    return parser.parse_args()


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    # Worker threads may sit in a slow call of the engine; what they do is safe to cut off and repeat.
    os._exit(status)
