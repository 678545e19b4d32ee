"""Refuses constructs that have hurt others: shells, unescaped HTML, unsafe loaders, SQL made of strings.

A line that ends in `# checked: REASON` is let through.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from ops.home import ROOT

PACKAGES = ("berth", "console", "nodeagent", "scheduler", "lab", "ops", "bench")
MODULES = {"pickle", "marshal", "shelve", "dill"}
CALLS = {
    "eval": "runs text as code",
    "exec": "runs text as code",
    "mark_safe": "skips HTML escaping",
    "SafeString": "skips HTML escaping",
    "RawSQL": "is raw SQL",
    "os.system": "is a shell",
    "os.popen": "is a shell",
    "yaml.load": "builds any object: use safe_load",
    "yaml.unsafe_load": "builds any object: use safe_load",
}
SQL_METHODS = {"raw", "extra", "execute", "executemany"}
TEMPLATE = re.compile(r"\|\s*safe\b|\{%\s*autoescape\s+off")
CHECKED = "# checked: "


def findings(path: Path, text: str) -> Iterator[str]:
    """One line of text for each thing found in a Python file."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        why = _why(node)
        if why and CHECKED not in lines[getattr(node, "end_lineno", 1) - 1]:
            yield f"{path}:{getattr(node, 'lineno', 0)}: {why}"


def _why(node: ast.AST) -> str:
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        bad = sorted(MODULES.intersection(names))
        return f"{bad[0]} runs code from its data" if bad else ""
    return _why_call(node) if isinstance(node, ast.Call) else ""


def _why_call(call: ast.Call) -> str:
    name = ast.unparse(call.func)
    for bad, why in CALLS.items():
        if name == bad or ("." not in bad and name.endswith(f".{bad}") and bad not in ("eval", "exec")):
            safe_loader = any("SafeLoader" in ast.unparse(argument.value) for argument in call.keywords)
            return "" if bad == "yaml.load" and safe_loader else f"{bad} {why}"
    for keyword in call.keywords:
        if keyword.arg == "shell" and not (
            isinstance(keyword.value, ast.Constant) and not keyword.value.value
        ):
            return "shell=True: pass a list of words"
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if method in SQL_METHODS and call.args and _is_built_text(call.args[0]):
        return f"{method}() of a string put together: pass the values as parameters"
    return ""


def _is_built_text(node: ast.expr) -> bool:
    """An f-string with values, `a % b`, `a + b` or `a.format(…)`."""
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Mod | ast.Add)
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format"


def template_findings(path: Path, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if TEMPLATE.search(line):
            yield f"{path}:{number}: skips HTML escaping"


def scan(root: Path) -> list[str]:
    """Everything found below `root`."""
    found: list[str] = []
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            found += findings(path.relative_to(root), path.read_text())
    for path in sorted(root.glob("templates/**/*.html")):
        found += template_findings(path.relative_to(root), path.read_text())
    return found


def main() -> int:
    found = scan(ROOT)
    print("\n".join(found) or "nothing found")
    if found:
        print(f"A line that is right all the same ends in `{CHECKED}REASON`.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
