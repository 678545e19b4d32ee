"""`depends_on`: the readers of one service, and what must hold between all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, cast

from .context import Context
from .cursor import Cursor, value
from .model import COMMAND_SUFFIX, Dependency, Service
from .problems import clip
from .values import boolean, filled_text, one_of

MOST_NAME = 63
"""Characters of a service's name."""
_CONDITIONS = {
    "service_started": "started",
    "service_healthy": "healthy",
    "service_completed_successfully": "completed",
}


def read_depends_on(at: Cursor | None, context: Context) -> tuple[Dependency, ...]:
    """In the order of their names."""
    found: dict[str, Dependency] = {}
    for place, one in _each(at):
        if one.service in found:
            place.fail("invalid", f"{clip(one.service)} is there twice")
        found[one.service] = one
        context.dependencies.append((place, one))
    return tuple(found[name] for name in sorted(found))


def _each(at: Cursor | None) -> Iterator[tuple[Cursor, Dependency]]:
    if at is None:
        return
    if at.is_list:
        for item in at.items():
            if name := item.parse(filled_text, ""):
                yield item, Dependency(service=name)
        return
    for entry in at.entries():
        fields = entry.fields({"condition", "restart", "required"})
        if entry.is_map and "condition" not in fields:
            entry.fail_key("missing", "a dependency written as a mapping needs a condition")
        condition = value(fields, "condition", one_of(*_CONDITIONS), "service_started")
        yield (
            entry,
            Dependency(
                service=str(entry.key),
                condition=cast(Literal["started", "healthy", "completed"], _CONDITIONS[condition]),
                restart=value(fields, "restart", boolean, False),
                required=value(fields, "required", boolean, True),
            ),
        )


def check_relations(services: Mapping[str, Service], context: Context) -> None:
    """That every service that another one names is there, and can become what is waited for."""
    for at, name in context.named:
        if name != "*" and name not in services:
            at.fail("missing", f"there is no service {clip(name)} in this file")
    for at, dependency in context.dependencies:
        target = services.get(dependency.service)
        if target is not None:
            _check_condition(at, dependency, target)
        elif dependency.required:
            at.fail_key("missing", f"there is no service {clip(dependency.service)} in this file")
        else:
            at.warn(
                "note", f"there is no service {clip(dependency.service)} in this file: nothing waits for it"
            )
    _check_circles(services, context)
    _check_commands(services, context)


def _check_commands(services: Mapping[str, Service], context: Context) -> None:
    """A release command runs under a name of its own."""
    for at in context.commands:
        name = f"{at.service}{COMMAND_SUFFIX}"
        if name in services:
            at.fail_key(
                "invalid", f"its containers are named {clip(name)}, and the file has a service of this name"
            )
        elif len(name) > MOST_NAME:
            at.fail_key("invalid", f"{clip(name)} is longer than the {MOST_NAME} characters of a name")


def _check_condition(at: Cursor, dependency: Dependency, target: Service) -> None:
    if dependency.condition == "completed" and target.restart.condition == "unless-stopped":
        at.fail_key(
            "invalid",
            f"{target.name} never completes: it is always restarted. Make it a job (deploy.mode: "
            "replicated-job), or give it restart: on-failure or 'no'",
        )
    if dependency.condition != "healthy":
        return
    if target.healthcheck is None:
        at.warn(
            "note",
            f"{target.name} has no healthcheck here: if its image has none either, it never gets healthy",
        )
    elif target.healthcheck.test[:1] == ("NONE",):
        at.fail_key("invalid", f"{target.name} never gets healthy: its healthcheck is switched off")


def _check_circles(services: Mapping[str, Service], context: Context) -> None:
    """An error at the dependency that closes each circle. As deep as there are services, which are bounded."""
    places = {(at.service, one.service): at for at, one in context.dependencies}
    done: set[str] = set()

    def visit(name: str, chain: tuple[str, ...]) -> None:
        for one in services[name].depends_on:
            if one.service in chain:
                circle = [*chain[chain.index(one.service) :], one.service]
                places[name, one.service].fail_key(
                    "invalid", f"services wait for each other in a circle: {' -> '.join(circle)}"
                )
            elif one.service in services and one.service not in done:
                visit(one.service, (*chain, one.service))
        done.add(name)

    for name in services:
        if name not in done:
            visit(name, (name,))
