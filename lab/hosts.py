"""Hosts as network namespaces on one switch: own addresses, no way out of the machine."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field

SUBNETS = "10.77"
"""The lab's networks are `10.77.x.0/24`; host i has `.i`, this machine `.254`."""


def run(*argv: str) -> str:
    """Runs a program to its end. Raises `RuntimeError` with what it said when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


@dataclass(frozen=True)
class Host:
    """One namespace. `port` is its cable's end at the switch, in the namespace `switch`."""

    netns: str
    address: str
    switch: str
    port: str

    def cut(self) -> None:
        """Pulls the cable: nothing reaches the host, nothing leaves it, its programs run on."""
        run("ip", "-n", self.switch, "link", "set", self.port, "down")

    def heal(self) -> None:
        run("ip", "-n", self.switch, "link", "set", self.port, "up")

    def make(self) -> None:
        """The namespace, and its cable to the switch."""
        run("ip", "netns", "add", self.netns)
        run(
            *("ip", "-n", self.switch, "link", "add", self.port, "type", "veth"),
            *("peer", "name", "eth0", "netns", self.netns),
        )
        run("ip", "-n", self.switch, "link", "set", self.port, "master", "bridge", "up")
        run("ip", "-n", self.netns, "addr", "add", f"{self.address}/24", "dev", "eth0")
        run("ip", "-n", self.netns, "link", "set", "eth0", "up")
        run("ip", "-n", self.netns, "link", "set", "lo", "up")
        run("ip", "netns", "exec", self.netns, "sysctl", "-qw", "net.ipv4.ip_forward=1")

    def reboot(self) -> None:
        """As after a power cut: none of its bridges, rules and connections is left. Its programs are dead."""
        run("ip", "netns", "delete", self.netns)
        # The cable goes with its end in the namespace, once nothing holds that any more.
        subprocess.run(
            ["ip", "-n", self.switch, "link", "delete", self.port], capture_output=True, check=False
        )
        self.make()


@dataclass
class Network:
    """A switch, a cable named `name` (11 characters at most) from this machine to it, and hosts.

    The switch has a namespace of its own: an engine on this machine makes the kernel pass bridged packets
    through the machine's firewall, and drops them there.
    """

    name: str
    subnet: int
    hosts: list[Host] = field(default_factory=list)

    @classmethod
    def create(cls, name: str) -> Network:
        """Takes the first subnet that nobody uses. The caller holds the lab's lock (`state.locked`)."""
        taken = run("ip", "-4", "-o", "addr", "show")
        network = cls(name, next(x for x in range(256) if f" {SUBNETS}.{x}." not in taken))
        switch = network.switch
        run("ip", "netns", "add", switch)
        run("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", switch, "link", "set", "bridge", "up")
        run("ip", "link", "add", name, "type", "veth", "peer", "name", "machine", "netns", switch)
        run("ip", "-n", switch, "link", "set", "machine", "master", "bridge", "up")
        run("ip", "addr", "add", f"{network.gateway}/24", "dev", name)
        run("ip", "link", "set", name, "up")
        return network

    @property
    def switch(self) -> str:
        return f"{self.name}-switch"

    @property
    def gateway(self) -> str:
        """This machine's own address in the network: where the console and Redis listen."""
        return f"{SUBNETS}.{self.subnet}.254"

    def add_host(self) -> Host:
        number = len(self.hosts) + 1
        host = Host(
            f"{self.name}-{number}", f"{SUBNETS}.{self.subnet}.{number}", self.switch, f"port{number}"
        )
        host.make()
        self.hosts.append(host)
        return host


def remove(name: str) -> None:
    """Removes every namespace and cable that `Network(name)` made."""
    existing = [line.split()[0] for line in run("ip", "netns", "list").splitlines() if line]
    for netns in existing:
        if netns.startswith(f"{name}-"):
            run("ip", "netns", "delete", netns)
    try:
        run("ip", "link", "delete", name)
    except RuntimeError:
        # Most often it is gone: with the namespace at its other end, some moments after that.
        if subprocess.run(["ip", "link", "show", name], capture_output=True, check=False).returncode == 0:
            raise
