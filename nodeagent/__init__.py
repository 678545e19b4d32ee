"""Berth's agent: one per host, between the console and that host's Docker Engine."""

__version__ = "0.1.0"
