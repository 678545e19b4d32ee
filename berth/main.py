"""Where it all begins: every module of commands, and the way out."""

from __future__ import annotations

from berth import cluster, deploy, logs, look, session, steer, terminal, volumes, webhooks
from berth.app import app, ended_well

COMMANDS = (session, look, deploy, steer, logs, terminal, volumes, webhooks, cluster)
"""Each registers its commands on `app`; the help lists them in this order."""


def main() -> None:
    order = [module.__name__ for module in COMMANDS]
    app.registered_commands.sort(key=lambda command: order.index(command.callback.__module__))
    with ended_well():
        app()
