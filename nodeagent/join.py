"""`python -m nodeagent join`: make this host a node with a join token, and write its agent's configuration.

The secrets are made here; the console gets their digests. They are on disk before it is asked, so that the same
command can be given again after a crash or a lost answer.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec

from nodeagent.config import checked
from nodeagent.credentials import Pair, sha256
from nodeagent.enrol import Console, JoinError
from nodeagent.errors import BadConfig
from nodeagent.files import write_atomic
from nodeagent.protocol import RELEASE, VERSION, Joined, JoinRequest

EXIT_FAILED = 1
CONFIG = Path("/etc/berth/agent.json")
STATE = Path("/var/lib/berth-agent")
PENDING = "join.json"
KEPT = ("docker_host", "docker_tls_dir", "address", "overlay", "cpu", "memory", "disk", "ports")
"""Options that go into the configuration as they are."""


def main(argv: list[str]) -> int:
    """0, or 1 with the reason on standard error. With `--run` it becomes the agent, also of a host that has joined
    before: a container of it may be started again with the same command."""
    options = _options(argv)
    run = [sys.executable, "-m", "nodeagent", "--config", str(options.config)]
    if options.run and options.config.exists() and not options.force:
        sys.stdout.write(f"berth join: this host has joined before; its configuration is {options.config}\n")
        sys.stdout.flush()
        os.execv(run[0], run)  # noqa: S606  (an argument list, and no shell)
    try:
        joined = join(options)
    except (JoinError, BadConfig) as error:
        sys.stderr.write(f"berth join: {error}\n")
        return EXIT_FAILED
    said = f"this host is node {joined.name} now; its configuration is {options.config}"
    sys.stdout.write(f"berth join: {said}\n")
    sys.stdout.flush()
    if options.run:
        os.execv(run[0], run)  # noqa: S606  (an argument list, and no shell)
    sys.stdout.write(f"berth join: start its agent with: {' '.join(run)}\n")
    return 0


def join(options: argparse.Namespace) -> Joined:
    """Raises `JoinError` or `BadConfig`; nothing but the pending secrets is left behind then."""
    if options.config.exists() and not options.force:
        raise JoinError(
            f"{options.config} exists: this host has joined already. Give --force to replace it, or another --config."
        )
    console = Console(options.console, options.ca_sha256, plain=options.plain)
    own = _own(options)
    # What is wrong with the options must show before the token is used up.
    checked({**own, "node": "n", "token": "t", "console": "https://c", "broker": "rediss://b"})
    pair = _pending(options.state_dir / PENDING, options.token)
    own.setdefault("address", console.local_address())
    joined = console.join(
        options.token,
        JoinRequest(
            version=VERSION,
            agent=RELEASE,
            token_digest=pair.offer.token_digest,
            broker_digest=pair.offer.broker_digest,
            name=options.name or _host_name(),
            address=own["address"],
        ),
    )
    scheme, _, place = joined.broker.partition("://")
    config = {
        "node": joined.node,
        "console": joined.console,
        "token": pair.token,
        "broker": f"{scheme}://{joined.broker_user}:{pair.password}@{place}",
        **({"ca": joined.ca} if joined.ca else {}),
        **own,
    }
    checked(config)
    options.config.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(options.config, (json.dumps(config, indent=2) + "\n").encode(), 0o600)
    (options.state_dir / PENDING).unlink(missing_ok=True)
    return joined


def _own(options: argparse.Namespace) -> dict[str, Any]:
    """What the configuration has of the options."""
    own = {key: getattr(options, key) for key in KEPT if getattr(options, key)}
    own["state_dir"] = str(options.state_dir)
    for key, pairs in (("labels", options.label), ("resources", options.resource)):
        if pairs:
            own[key] = ",".join(pairs)
    return own


def _host_name() -> str:
    """This host's name as a node may have it."""
    return re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower())[:40].strip("-")


def _pending(path: Path, token: str) -> Pair:
    """The secrets for this join token: those of an earlier try, or new ones."""
    use = sha256(token)
    try:
        known = msgspec.json.decode(path.read_bytes(), type=dict[str, Pair])
    except (OSError, msgspec.MsgspecError):
        known = {}
    if use not in known:
        known = {use: Pair.new(0.0)}
        write_atomic(path, msgspec.json.encode(known))
    return known[use]


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m nodeagent join", description=__doc__)
    parser.add_argument("--console", required=True, metavar="URL", help="https address of the console's link")
    parser.add_argument("--token", help="the join token; without it BERTH_JOIN_TOKEN or --token-file is read")
    parser.add_argument("--token-file", type=Path, help="a file with the join token; - is standard input")
    parser.add_argument(
        "--ca-sha256", default="", help="SHA-256 of the public key of the console's authority"
    )
    parser.add_argument(
        "--plain",
        action="store_true",
        help="without TLS: everybody on the way can read and change everything",
    )
    parser.add_argument("--name", default="", help="the node's name, where the token leaves it open")
    parser.add_argument("--config", type=Path, default=CONFIG, help=f"file to write, {CONFIG}")
    parser.add_argument("--force", action="store_true", help="replace a configuration that is there")
    parser.add_argument("--run", action="store_true", help="become the agent afterwards")
    parser.add_argument("--state-dir", type=Path, default=STATE, help=f"the agent's folder, {STATE}")
    parser.add_argument("--docker-host", help="the engine's address")
    parser.add_argument("--docker-tls-dir", help="folder with ca.pem, cert.pem and key.pem for it")
    parser.add_argument(
        "--address", help="where published ports are reached; else the address towards the console"
    )
    parser.add_argument(
        "--overlay",
        help="where other nodes reach this one for networks across hosts; else the address; or off",
    )
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--resource", action="append", default=[], metavar="KIND=UNITS")
    parser.add_argument("--cpu", help="thousandths of a core to offer")
    parser.add_argument("--memory", help="bytes to offer, 16g for example")
    parser.add_argument("--disk", help="bytes to offer, 200g for example")
    parser.add_argument("--ports", help="ports to publish on, 30000-32767")
    options = parser.parse_args(argv)
    options.token = options.token or _token(options.token_file)
    if not options.token:
        parser.error("give the join token: --token, --token-file or BERTH_JOIN_TOKEN")
    return options


def _token(file: Path | None) -> str:
    if file is None:
        return os.environ.get("BERTH_JOIN_TOKEN", "").strip()
    try:
        return (sys.stdin.read() if str(file) == "-" else file.read_text()).strip()
    except OSError as error:
        raise SystemExit(f"berth join: {file} cannot be read: {error.strerror}") from error
