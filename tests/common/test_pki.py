"""Certificates as files: who may read what."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.common import pki


@pytest.mark.parametrize(("folder", "key"), [(None, 0o600), (0o700, 0o600), (0o750, 0o640)])
def test_a_group_reads_the_servers_key_only_where_the_folder_lets_it_in(
    tmp_path: Path, folder: int | None, key: int
) -> None:
    if folder is not None:
        (tmp_path / "tls").mkdir(mode=folder)
    files = pki.ensure_server(tmp_path, {"10.0.0.1"})
    assert files.key.stat().st_mode & 0o777 == key
    assert (tmp_path / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600
