"""What the controller's own tests stand on."""

from tests.controller.conftest import access, agents, world

__all__ = ["access", "agents", "world"]
