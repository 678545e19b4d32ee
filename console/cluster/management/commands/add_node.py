from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.cluster.services import add_node
from console.common import origin
from console.common.errors import BerthError


class Command(BaseCommand):
    help = "Add a node and write its agent's configuration, which holds the node's credentials."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--config-out", type=Path, required=True, help="file to write, mode 0600")
        parser.add_argument("--zone", default="")
        parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
        parser.add_argument("--address", help="address at which published ports are reached")
        parser.add_argument("--cpu", type=int, help="thousandths of a core to offer")
        parser.add_argument("--memory", type=int, help="bytes to offer")
        parser.add_argument("--docker-host", help="the engine, unix:///… or tcp://…")
        parser.add_argument("--state-dir", help="the agent's own folder")

    def handle(self, *args: Any, **options: Any) -> None:
        labels = dict(pair.split("=", 1) for pair in options["label"] if "=" in pair)
        if len(labels) != len(options["label"]):
            raise CommandError("Give labels as KEY=VALUE.")
        try:
            credential = add_node(
                name=options["name"], actor=origin.operator(), zone=options["zone"], labels=labels
            )
        except BerthError as error:
            raise CommandError(str(error)) from error
        given = {
            key: options[key]
            for key in ("address", "cpu", "memory", "docker_host", "state_dir")
            if options[key]
        }
        write_private(options["config_out"], json.dumps({**credential.config(), **given}, indent=2))
        self.stdout.write(credential.node.id)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
