"""`extends` within the file: a service takes another's keys and lays its own over them."""

from __future__ import annotations

from collections.abc import Callable

from .cursor import OWN, Cursor
from .nodes import Key, Node
from .problems import ComposeError, clip

_REPLACED = {("command",), ("entrypoint",), ("healthcheck", "test"), ("scale",)}
_KEYED = {("environment",), ("labels",), ("deploy", "labels")}
_LISTED = {"tmpfs", "env_file"}


def resolve_extends(services: Cursor, budget: int) -> dict[Key, Node]:
    """The services with every `extends` written out. What cannot be resolved is an error.

    `budget` bounds how many entries all of it may copy; past it comes a `ComposeError`.
    """
    return _Resolver(services, budget).all()


class _Resolver:
    def __init__(self, services: Cursor, budget: int) -> None:
        self._known = {str(entry.key): entry for entry in services.entries()}
        self._done: dict[str, Node] = {}
        self._left = budget

    def all(self) -> dict[Key, Node]:
        return {
            entry.key: self._resolved(entry, ()) for entry in self._known.values() if entry.key is not None
        }

    def _resolved(self, entry: Cursor, chain: tuple[str, ...]) -> Node:
        name = str(entry.key)
        if name not in self._done:
            self._done[name] = self._extended(entry, (*chain, name))
        return self._done[name]

    def _extended(self, entry: Cursor, chain: tuple[str, ...]) -> Node:
        value = entry.node.value
        extends = (
            next((child for child in entry.entries() if child.key == "extends"), None)
            if entry.is_map
            else None
        )
        if extends is None or not isinstance(value, dict):
            return entry.node
        own = Node(
            {k: node for k, node in value.items() if k != "extends"}, entry.node.line, entry.node.column
        )
        name = _target(extends)
        if name is None:
            return own
        if name not in self._known:
            extends.fail("missing", f"there is no service {clip(name)} in this file to extend")
            return own
        if name in chain:
            extends.fail("invalid", "services extend each other in a circle")
            return own
        base = self._resolved(self._known[name], chain)
        self._spend(extends, base)
        merged = _merge(_inherited(base), own, ())
        return Node(merged.value, own.line, own.column)

    def _spend(self, at: Cursor, base: Node) -> None:
        """Charges all that the base holds, since the service below is read with it."""
        self._left -= _count(base)
        if self._left < 0:
            at.fail("limit", "extends makes the file too large")
            raise ComposeError(at.problems.errors)


def _inherited(base: Node) -> Node:
    """But for a release command, which would run once for each service that extends another."""
    own = base.value.get(Key(OWN)) if isinstance(base.value, dict) else None
    if own is None or not isinstance(own.value, dict) or not isinstance(base.value, dict):
        return base
    kept = {key: node for key, node in own.value.items() if key != "release_command"}
    value = {
        key: Node(kept, node.line, node.column) if node is own else node for key, node in base.value.items()
    }
    return Node(value, base.line, base.column)


def _count(node: Node) -> int:
    if isinstance(node.value, dict):
        return 1 + sum(map(_count, node.value.values()))
    return 1 + sum(map(_count, node.value)) if isinstance(node.value, list) else 1


def _target(extends: Cursor) -> str | None:
    if extends.is_map:
        fields = extends.fields(
            {"service"}, unsupported={"file": "a service can extend only one of the same file"}
        )
        if isinstance(extends.node.value, dict) and Key("file") in extends.node.value:
            return None
        if "service" not in fields:
            extends.fail("missing", "extends needs a service")
            return None
        extends = fields["service"]
    if extends.text is None:
        extends.fail("invalid", "must be the name of a service")
    return extends.text


def _merge(base: Node, over: Node, path: tuple[str, ...]) -> Node:
    """`over` laid on `base`, by the rules that the specification gives for each key."""
    if over.value is None:
        return base
    if base.value is None or path in _REPLACED or _other_driver(base, over, path):
        return over
    if path in _KEYED:
        base, over = _as_mapping(base), _as_mapping(over)
    if path == ("depends_on",):
        base, over = _as_conditions(base), _as_conditions(over)
    if path == ("networks",) and not (isinstance(base.value, list) and isinstance(over.value, list)):
        base, over = _as_names(base), _as_names(over)
    if len(path) == 1 and path[0] in _LISTED:
        base, over = _as_list(base), _as_list(over)
    if isinstance(base.value, dict) and isinstance(over.value, dict):
        merged = dict(base.value)
        for key, node in over.value.items():
            below = merged.pop(key, None)
            merged[key] = node if below is None else _merge(below, node, (*path, str(key)))
        return Node(merged, over.line, over.column)
    if isinstance(base.value, list) and isinstance(over.value, list):
        identity = _IDENTITY.get(path[0], _plain) if len(path) == 1 else _plain
        return Node(_merged_list(base.value, over.value, identity), over.line, over.column)
    return over


def _merged_list(base: list[Node], over: list[Node], identity: Callable[[Node], object]) -> list[Node]:
    """The base's entries, each replaced where `over` has one of its identity; then the rest of `over`."""
    replacing = {identity(node): node for node in reversed(over)}
    kept = [replacing.pop(identity(node), node) for node in base]
    used = {id(node) for node in kept}
    return [*kept, *(node for node in over if id(node) not in used)]


def _other_driver(base: Node, over: Node, path: tuple[str, ...]) -> bool:
    """Options of another logging driver do not carry over."""
    if path != ("logging",) or not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return False
    first, second = base.value.get(Key("driver")), over.value.get(Key("driver"))
    return first is not None and second is not None and first.value != second.value


def _as_mapping(node: Node) -> Node:
    """NAME=value entries by name; a list with anything else stays, for its reader to complain of."""
    if not isinstance(node.value, list):
        return node
    entries: dict[Key, Node] = {}
    for item in node.value:
        if not isinstance(item.value, str):
            return node
        name, equal, value = item.value.partition("=")
        entries[Key.at(name, item.line, item.column)] = Node(value if equal else None, item.line, item.column)
    return Node(entries, node.line, node.column)


def _as_conditions(node: Node) -> Node:
    """The long form of names of services."""
    if not isinstance(node.value, list):
        return node
    entries: dict[Key, Node] = {}
    for item in node.value:
        if not isinstance(item.value, str):
            return node
        started = Node("service_started", item.line, item.column)
        condition = {Key.at("condition", item.line, item.column): started}
        entries[Key.at(item.value, item.line, item.column)] = Node(condition, item.line, item.column)
    return Node(entries, node.line, node.column)


def _as_names(node: Node) -> Node:
    """A list of names as a mapping whose values say nothing."""
    if not isinstance(node.value, list) or not all(isinstance(item.value, str) for item in node.value):
        return node
    entries = {
        Key.at(str(item.value), item.line, item.column): Node(None, item.line, item.column)
        for item in node.value
    }
    return Node(entries, node.line, node.column)


def _as_list(node: Node) -> Node:
    return node if isinstance(node.value, list) else Node([node], node.line, node.column)


def _plain(node: Node) -> object:
    """Equal texts are one entry; anything else stays apart."""
    return node.value if isinstance(node.value, str | int) else id(node)


def _field(node: Node, *names: str) -> object:
    if isinstance(node.value, dict):
        for name in names:
            if (found := node.value.get(Key(name))) is not None:
                return found.value if isinstance(found.value, str) else id(node)
    return id(node)


def _mount(node: Node) -> object:
    if isinstance(node.value, str):
        parts = node.value.split(":")
        return parts[1] if len(parts) > 1 else parts[0]
    return _field(node, "target")


def _config(node: Node) -> object:
    return f"/{node.value}" if isinstance(node.value, str) else _field(node, "target", "source")


def _secret(node: Node) -> object:
    """Its path, of which a name is short for one in the folder of secrets."""
    if not isinstance(node.value, str):
        found = _field(node, "target", "source")
        return found if not isinstance(found, str) or found.startswith("/") else f"/run/secrets/{found}"
    return f"/run/secrets/{node.value}"


def _env_file(node: Node) -> object:
    return node.value if isinstance(node.value, str) else _field(node, "path")


_IDENTITY: dict[str, Callable[[Node], object]] = {
    "volumes": _mount,
    "configs": _config,
    "secrets": _secret,
    "env_file": _env_file,
}
