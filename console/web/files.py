"""Uploaded texts of a Compose file (env files, configs) as rows of a form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class FileRow:
    path: str
    text: str


def posted_rows(request: HttpRequest) -> list[FileRow]:
    """The rows of `file_path` and `file_text`; a row without a path is none."""
    pairs = zip(request.POST.getlist("file_path"), request.POST.getlist("file_text"), strict=False)
    return [FileRow(path.strip(), text.replace("\r\n", "\n")) for path, text in pairs if path.strip()]


def rows_of(files: Mapping[str, str]) -> list[FileRow]:
    return [FileRow(path, text) for path, text in files.items()]


def as_mapping(rows: Iterable[FileRow]) -> dict[str, str]:
    return {row.path: row.text for row in rows}
