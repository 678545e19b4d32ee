"""Since when each service is asked to have been started anew."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.model import AppView, ServiceView


def epochs(view: AppView) -> dict[str, float]:
    """Of each service the latest request that concerns it: the app's, its own, or one of a service that it
    depends on with `restart`, directly or not. A circle of them is gone round once. A release command is never
    asked to."""
    services = {each.name: each for each in view.services}
    return {
        name: 0.0 if service.command else max(_requests(view, services, name))
        for name, service in services.items()
    }


def _requests(view: AppView, services: Mapping[str, ServiceView], name: str) -> list[float]:
    found, path = [view.restart_epoch], [name]
    seen: set[str] = set()
    while path:
        service = services.get(path.pop())
        if service is not None and service.name not in seen:
            seen.add(service.name)
            found.append(service.restart_epoch)
            path += [each.service for each in service.depends_on if each.restart]
    return found
