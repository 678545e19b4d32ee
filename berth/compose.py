"""What is sent with a Compose file: variables from `.env`, and the texts of the files that it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

from berth.errors import CliError, Exit

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A Compose file's text, values for `${NAME}` in it, and texts of files by their path in it."""

    compose: str
    variables: dict[str, str]
    files: dict[str, str]

    def body(self) -> dict[str, Any]:
        return {"compose": self.compose, "variables": self.variables, "files": self.files}


def read(file: Path | None, env_file: Path | None, given: list[str]) -> Bundle:
    """As Docker Compose would find them: the usual names, `.env` beside the file, `NAME=value` on top."""
    chosen = file or next((Path(name) for name in NAMES if Path(name).is_file()), None)
    if chosen is None:
        raise CliError(f"There is none of {', '.join(NAMES)} here. Name the file with -f.", Exit.USAGE)
    text = _text(chosen)
    env = env_file or chosen.parent / ".env"
    variables = _env(env) if env_file or env.is_file() else {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise CliError(f"“{pair}” is not NAME=value.", Exit.USAGE)
        variables[name] = value
    # What is not there is the console's to judge, by line; an optional file need not be.
    there = {name: chosen.parent / name for name in named_files(text) if (chosen.parent / name).is_file()}
    return Bundle(text, variables, {name: _text(path) for name, path in there.items()})


def named_files(text: str) -> list[str]:
    """Paths of texts to send along: env_file, and `file:` of configs and secrets. What is no YAML names none."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return []
    return sorted(set(_named(document)) if isinstance(document, dict) else [])


def _named(document: dict[str, Any]) -> Iterator[str]:
    for section in ("configs", "secrets"):
        for entry in _entries(document.get(section)):
            if isinstance(entry.get("file"), str):
                yield entry["file"]
    for service in _entries(document.get("services")):
        listed = service.get("env_file") or []
        for one in listed if isinstance(listed, list) else [listed]:
            path = one.get("path") if isinstance(one, dict) else one
            if isinstance(path, str):
                yield path


def _entries(section: Any) -> Iterator[dict[str, Any]]:
    for entry in section.values() if isinstance(section, dict) else ():
        if isinstance(entry, dict):
            yield entry


def _env(path: Path) -> dict[str, str]:
    """As python-dotenv reads it; a name without a value takes none."""
    found = dotenv_values(stream=StringIO(_text(path)))
    return {name: value for name, value in found.items() if value is not None}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}.", Exit.USAGE) from error
    except UnicodeDecodeError as error:
        raise CliError(f"{path} is no UTF-8 text.", Exit.INVALID) from error
