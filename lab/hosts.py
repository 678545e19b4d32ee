"""Hosts as network namespaces on one bridge: own addresses, no way out of the machine."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field

SUBNETS = "10.77"
"""The lab's networks are `10.77.x.0/24`; host i has `.i`, the bridge on the machine itself `.254`."""


def run(*argv: str) -> str:
    """Runs a program to its end. Raises `RuntimeError` with what it said when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


@dataclass(frozen=True)
class Host:
    """One namespace. `veth` is its cable's end on the bridge."""

    netns: str
    veth: str
    address: str

    def cut(self) -> None:
        """Pulls the cable: nothing reaches the host, nothing leaves it, its programs run on."""
        run("ip", "link", "set", self.veth, "down")

    def heal(self) -> None:
        run("ip", "link", "set", self.veth, "up")


@dataclass
class Network:
    """A bridge named `name` (11 characters at most) and the hosts on it."""

    name: str
    subnet: int
    hosts: list[Host] = field(default_factory=list)

    @classmethod
    def create(cls, name: str) -> Network:
        """Takes the first subnet that nobody uses. The caller holds the lab's lock (`state.locked`)."""
        taken = run("ip", "-4", "-o", "addr", "show")
        subnet = next(x for x in range(256) if f" {SUBNETS}.{x}." not in taken)
        run("ip", "link", "add", name, "type", "bridge")
        network = cls(name, subnet)
        run("ip", "addr", "add", f"{network.gateway}/24", "dev", name)
        run("ip", "link", "set", name, "up")
        return network

    @property
    def gateway(self) -> str:
        """The machine's own address on the bridge: where the console and Redis listen."""
        return f"{SUBNETS}.{self.subnet}.254"

    def add_host(self) -> Host:
        number = len(self.hosts) + 1
        host = Host(f"{self.name}-{number}", f"{self.name}v{number}", f"{SUBNETS}.{self.subnet}.{number}")
        inside = ("ip", "netns", "exec", host.netns)
        run("ip", "netns", "add", host.netns)
        run("ip", "link", "add", host.veth, "type", "veth", "peer", "name", "eth0", "netns", host.netns)
        run("ip", "link", "set", host.veth, "master", self.name, "up")
        run(*inside, "ip", "addr", "add", f"{host.address}/24", "dev", "eth0")
        run(*inside, "ip", "link", "set", "eth0", "up")
        run(*inside, "ip", "link", "set", "lo", "up")
        run(*inside, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.hosts.append(host)
        return host


def remove(name: str) -> None:
    """Removes the bridge and every namespace that `Network(name)` made."""
    existing = [line.split()[0] for line in run("ip", "netns", "list").splitlines() if line]
    for netns in existing:
        if netns.startswith(f"{name}-"):
            run("ip", "netns", "delete", netns)
    if subprocess.run(["ip", "link", "show", name], capture_output=True, check=False).returncode == 0:
        run("ip", "link", "delete", name)
