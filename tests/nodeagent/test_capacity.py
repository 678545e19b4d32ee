from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nodeagent.capacity import capacity
from nodeagent.config import load
from nodeagent.protocol import Capacity, Engine
from nodeagent.runtime.base import HostInfo
from tests.nodeagent.test_config import environment

ENGINE = Engine(version="x", api="1.41", os="linux", arch="amd64")


def test_what_the_file_leaves_open_is_the_engines(tmp_path: Path) -> None:
    config = load(None, environment(tmp_path))
    host = HostInfo(ENGINE, 4000, 8 << 30, str(tmp_path))
    size = shutil.disk_usage(tmp_path).total
    assert capacity(config, host) == Capacity(cpu=4000, memory=8 << 30, disk=size)
    assert capacity(config, None) == Capacity(cpu=0, memory=0)


def test_what_the_file_says_holds(tmp_path: Path) -> None:
    config = replace(
        load(None, environment(tmp_path)), cpu=1, memory=2, disk=3, resources={"gpu": 2}, port_last=30010
    )
    host = HostInfo(ENGINE, 4000, 8 << 30, str(tmp_path))
    assert capacity(config, host) == Capacity(cpu=1, memory=2, disk=3, resources={"gpu": 2}, port_last=30010)


@pytest.mark.parametrize(
    ("docker_host", "folder"),
    [("tcp://10.0.0.1:2376", "/"), ("unix:///x.sock", "/nowhere/at/all"), ("unix:///x.sock", "")],
)
def test_a_disk_that_cannot_be_seen_is_unknown(tmp_path: Path, docker_host: str, folder: str) -> None:
    config = replace(load(None, environment(tmp_path)), docker_host=docker_host)
    assert capacity(config, HostInfo(ENGINE, 1, 1, folder)).disk == 0
