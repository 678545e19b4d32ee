from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from console.accounts import keyring
from console.accounts.access import Access
from console.accounts.enums import Role
from console.accounts.models import User
from console.accounts.services import create_first_owner, create_sign_in_link
from console.accounts.tokens import create_token
from console.cluster import trust
from console.cluster.management.commands.add_node import write_private
from console.cluster.models import Node
from console.cluster.queries import cluster
from console.cluster.services import add_node, addresses, renew_credential


class Command(BaseCommand):
    help = (
        "First owner, team “default”, an API token, the master key and the local node, where they are missing. "
        "Prints JSON."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", default="owner@localhost.localdomain")
        parser.add_argument("--node", default="local", help="name of this machine's node; empty for none")
        parser.add_argument(
            "--agent-config", type=Path, default=settings.BERTH_HOME / "agent" / "config.json"
        )
        parser.add_argument("--agent-option", action="append", default=[], metavar="KEY=VALUE")
        parser.add_argument(
            "--local-links",
            action="store_true",
            help="the node's agent is on this very machine: its links are plain and stay on it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        cluster()
        keyring.make_file(Path(settings.MASTER_KEY_FILE or settings.BERTH_HOME / "master-key"))
        user, team = create_first_owner(email=options["email"])
        token_file = settings.BERTH_HOME / "owner-token"
        if not token_file.exists():
            _token, secret = create_token(Access(user, team, Role.OWNER), name="owner-token")
            write_private(token_file, secret)
        if options["node"]:
            self._local_node(options)
        self.stdout.write(json.dumps({"url": self._link(user)}))

    def _local_node(self, options: dict[str, Any]) -> None:
        """The node's row and its agent's file belong together; a lost file means new credentials. The addresses in
        a file that is there follow the settings."""
        path, local = options["agent_config"], options["local_links"]
        node = Node.objects.filter(name=options["node"]).first()
        extra = dict(pair.split("=", 1) for pair in options["agent_option"])
        if node and path.exists():
            known = json.loads(path.read_text())
            login = trust.login_of(known["broker"])
            kept = {key: value for key, value in known.items() if key != "ca"}
            found = {**kept, **addresses(*login, local=local), **extra}
            if found != known:
                write_private(path, json.dumps(found, indent=2))
            return
        credential = (
            renew_credential(node, actor="bootstrap")
            if node
            else add_node(name=options["node"], actor="bootstrap")
        )
        write_private(path, json.dumps({**credential.config(local=local), **extra}, indent=2))

    def _link(self, user: User) -> str:
        if user.has_usable_password():
            return f"{settings.BERTH_URL}/"
        return f"{settings.BERTH_URL}/sign-in/{create_sign_in_link(user)}/"
