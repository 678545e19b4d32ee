"""What this node offers: what its configuration says, and else what the engine has."""

from __future__ import annotations

import shutil

from nodeagent.config import Config
from nodeagent.protocol import Capacity, Disk
from nodeagent.runtime.base import HostInfo


def capacity(config: Config, host: HostInfo | None) -> Capacity:
    """`host` None: the engine has not been asked yet."""
    seen = disk(config, host) if not config.disk else None
    return Capacity(
        cpu=config.cpu or (host.cpu if host else 0),
        memory=config.memory or (host.memory if host else 0),
        disk=config.disk or (seen.total if seen else 0),
        resources=dict(config.resources),
        port_first=config.port_first,
        port_last=config.port_last,
    )


def disk(config: Config, host: HostInfo | None) -> Disk | None:
    """Of the file system that holds the engine's data; None when it is not one that this process sees."""
    if host is None or not host.data_root or not config.docker_host.startswith("unix://"):
        return None
    try:
        usage = shutil.disk_usage(host.data_root)
    except OSError:
        return None
    return Disk(total=usage.total, free=usage.free)
