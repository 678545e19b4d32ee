from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.cluster.access import find_node
from console.cluster.joining import create_join_token
from console.common import origin
from console.common.errors import BerthError
from console.common.pki import CertificateError


class Command(BaseCommand):
    help = (
        "Make a join token, and print the command with which one further host joins. It is shown this once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default="", help="the node's name; without it the host says its own")
        parser.add_argument("--zone", default="")
        parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
        parser.add_argument("--node", default="", help="a node that gets a new host or new credentials")
        parser.add_argument("--minutes", type=int, default=60, help="how long it may be used (60)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = create_join_token(
                actor=origin.operator(),
                name=options["name"],
                zone=options["zone"],
                labels=dict(pair.split("=", 1) for pair in options["label"] if "=" in pair),
                node=find_node(options["node"]) if options["node"] else None,
                lifetime=timedelta(minutes=options["minutes"]),
            )
            self.stdout.write(made.command())
        except (BerthError, CertificateError) as error:
            raise CommandError(str(error)) from error
