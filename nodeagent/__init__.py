"""Berth's agent: one per host, between the console and that host's Docker Engine."""

from nodeagent.protocol.names import RELEASE

__version__ = RELEASE
