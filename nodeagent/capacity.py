"""What this node offers: what its configuration says, and else what the engine has."""

from __future__ import annotations

import shutil

from nodeagent.config import Config
from nodeagent.protocol import Capacity
from nodeagent.runtime.base import HostInfo


def capacity(config: Config, host: HostInfo | None) -> Capacity:
    """`host` None: the engine has not been asked yet."""
    return Capacity(
        cpu=config.cpu or (host.cpu if host else 0),
        memory=config.memory or (host.memory if host else 0),
        disk=config.disk or (_disk(config.docker_host, host.data_root) if host else 0),
        resources=dict(config.resources),
        port_first=config.port_first,
        port_last=config.port_last,
    )


def _disk(docker_host: str, data_root: str) -> int:
    """Bytes of the file system that holds the engine's data; 0 when it is not one that this process sees."""
    if not data_root or not docker_host.startswith("unix://"):
        return 0
    try:
        return shutil.disk_usage(data_root).total
    except OSError:
        return 0
