"""A Compose text → `Project`, or every problem it has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from .configs import read_top_configs
from .context import Context
from .cursor import Cursor, value
from .depends import check_relations
from .expand import Expander
from .extends import resolve_extends
from .interpolation import Budget, Interpolator
from .keys import TOP, TOP_UNSUPPORTED
from .model import Policy, Project, Service
from .networks import read_top_networks
from .nodes import Node, parse
from .plain import read_extensions
from .problems import ComposeError, Problem, Problems, clip
from .scalars import storable
from .secrets import read_top_secrets
from .service import read_service
from .values import matching, text

_PROJECT_NAME = matching(r"[a-z0-9][a-z0-9_-]{0,62}", "a project name: small letters, digits, _ and -")
_FILLED = "is not right once its variables are filled in"
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")


def load(
    text: str,
    *,
    variables: Mapping[str, str] = {},
    files: Mapping[str, str] = {},
    policy: Policy = Policy(),  # noqa: B008 (frozen)
) -> Project:
    """The checked model of a file.

    `variables` fill `${…}`; `files` are the texts that env_file, configs and secrets name. Raises `ComposeError`
    with all problems, and nothing else whatever the text is; `policy` bounds the time. Problems and warnings name
    what the file says, never a variable's value.
    """
    _check_size(text, policy)
    if not all(map(storable, variables.values())):
        raise ComposeError(
            [Problem(0, 0, "", "", "invalid", "a variable has a character that a container cannot take")]
        )
    parsed = Problems()
    tree = parse(text, parsed, policy.max_nodes)

    def read(variables: Mapping[str, str], problems: Problems) -> Project:
        context = Context(policy, variables, files, text=text, content_left=policy.max_content)
        return _read(tree, context, problems)

    problems = parsed.copy()
    try:
        project = read(variables, problems)
    except ComposeError as error:
        problems.errors = list(error.problems)
    found = (*problems.errors, *problems.warnings)
    if any(variables.values()) and any(each.code != "limit" for each in found):
        other, named = (
            parsed.copy(),
            {name: f"${{{name}}}" if given else "" for name, given in variables.items()},
        )
        with suppress(ComposeError):
            read(named, other)
        problems = _veiled(problems, other)
    problems.raise_if_any()
    return msgspec.structs.replace(project, warnings=tuple(problems.warnings))


def _veiled(found: Problems, named: Problems) -> Problems:
    """The problems in words that hold no value of a variable, which may be secret: those that a reading with each
    variable's name for its value has at the same place."""
    both = [*named.errors, *named.warnings]
    said, exact = {_place(problem): problem.message for problem in reversed(both)}, set(both)

    def veil(problem: Problem) -> Problem:
        if problem in exact or problem.code == "limit":
            return problem
        return msgspec.structs.replace(problem, message=said.get(_place(problem), _FILLED))

    veiled = Problems()
    veiled.errors, veiled.warnings = [*map(veil, found.errors)], [*map(veil, found.warnings)]
    return veiled


def _place(problem: Problem) -> tuple[int, int, str, str]:
    return problem.line, problem.column, problem.key, problem.code


def _read(tree: Node, context: Context, problems: Problems) -> Project:
    """Errors and warnings go to `problems`; raises `ComposeError` if there are errors."""
    policy = context.policy
    context.budget = Budget(policy.max_expanded)
    expander = Expander(Interpolator(context.variables, context.budget), problems, policy.max_nodes)
    root = Cursor(expander.expand(Cursor(tree, problems)), problems)
    if not root.is_map:
        root.fail("invalid", "the file is empty" if root.node.value is None else "the file must be a mapping")
        problems.raise_if_any()
    project = _project(root, context)
    problems.raise_if_any()
    return project


def _check_size(text: str, policy: Policy) -> None:
    if len(text) > policy.max_text or len(text.encode(errors="replace")) > policy.max_text:
        raise ComposeError(
            [Problem(0, 0, "", "", "limit", f"the file is larger than {policy.max_text} bytes")]
        )


def _project(root: Cursor, context: Context) -> Project:
    fields = root.fields(TOP, unsupported=TOP_UNSUPPORTED)
    if "version" in fields:
        fields["version"].warn("obsolete", "version has no meaning any more and can go")
    name = value(fields, "name", _PROJECT_NAME, "")
    context.volumes = _volumes(fields.get("volumes"))
    context.secrets = read_top_secrets(fields.get("secrets"), context)
    context.configs = read_top_configs(fields.get("configs"), context)
    context.networks = read_top_networks(fields.get("networks"), context)
    services = _services(root, fields, context)
    return Project(
        name=name,
        services=services,
        volumes=context.volumes,
        configs=context.configs,
        secrets=context.secrets,
        written=context.written,
        x=read_extensions(root),
        warnings=tuple(root.problems.warnings),
    )


def _services(root: Cursor, fields: dict[str, Cursor], context: Context) -> dict[str, Service]:
    if "services" not in fields or fields["services"].node.value == {}:
        root.fail("missing", "the file has no services")
        return {}
    at = fields["services"]
    if at.is_map and len(at.entries()) > context.policy.max_services:
        at.fail("limit", f"more than {context.policy.max_services} services")
        return {}
    node = Node(resolve_extends(at, context.policy.max_nodes), at.node.line, at.node.column)
    resolved = Cursor(node, root.problems, path=at.path)
    services = {str(entry.key): read_service(entry, context) for entry in resolved.entries()}
    check_relations(services, context)
    return services


def _volumes(at: Cursor | None) -> tuple[str, ...]:
    """Names of the app's own volumes: plain local ones, as options and drivers can reach a host path."""
    names = []
    for entry in at.entries() if at else []:
        name = str(entry.key)
        if not _VOLUME_NAME.fullmatch(name):
            entry.fail_key("invalid", f"{clip(name)} is not a volume name")
        names.append(name)
        if entry.node.value is not None:
            _check_volume(entry)
    return tuple(names)


def _check_volume(entry: Cursor) -> None:
    fields = entry.fields(
        {"driver", "driver_opts"},
        unsupported={"name": "Berth names volumes itself, by app", "labels": ""},
        refused={"external": "it reaches a volume that is not the app's"},
    )
    if value(fields, "driver", text, "local") != "local":
        fields["driver"].fail("unsupported", "volume drivers other than local are not supported yet")
    for option in fields["driver_opts"].entries() if "driver_opts" in fields else []:
        if option.key in ("device", "o", "type"):
            option.fail_key(
                "refused", f"{option.key} is not allowed: a volume could reach a path of its host"
            )
        else:
            option.fail_key("unsupported", "volume driver options are not supported yet")
