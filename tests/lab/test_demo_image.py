"""`berth/demo`: the same archive everywhere, and what its container does."""

from __future__ import annotations

import hashlib
import json
import tarfile
import urllib.request
from pathlib import Path

import pytest

from lab import demo_image
from lab.engine import Engine
from lab.processes import wait_until


def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "one" / "demo.tar", tmp_path / "two" / "demo.tar"
    assert demo_image.build(first) == demo_image.build(second)
    assert first.read_bytes() == second.read_bytes()


def test_version_and_tag_make_another_image(tmp_path: Path) -> None:
    usual = demo_image.build(tmp_path / "1.tar")
    other = demo_image.build(tmp_path / "2.tar", tag="berth/demo:2", version="2")
    assert usual != other
    with tarfile.open(tmp_path / "2.tar") as archive:
        manifest = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest"))
    assert manifest == [
        {"Config": f"{other[7:]}.json", "RepoTags": ["berth/demo:2"], "Layers": ["layer.tar"]}
    ]


def test_the_digest_names_the_config_and_the_config_the_layer(tmp_path: Path) -> None:
    digest = demo_image.build(tmp_path / "demo.tar")
    with tarfile.open(tmp_path / "demo.tar") as archive:
        config = (archive.extractfile(f"{digest[7:]}.json") or pytest.fail("no config")).read()
        layer = (archive.extractfile("layer.tar") or pytest.fail("no layer")).read()
    assert digest == f"sha256:{hashlib.sha256(config).hexdigest()}"
    assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]


@pytest.mark.engine
def test_the_engine_gives_it_the_same_digest(engine: Engine, tmp_path: Path) -> None:
    with engine.client() as client:
        assert client.images.get("berth/demo").id == demo_image.build(tmp_path / "demo.tar")


@pytest.mark.engine
def test_it_serves_a_page_logs_and_ends_at_once(engine: Engine) -> None:
    with engine.client() as client:
        container = client.containers.run(
            "berth/demo",
            detach=True,
            ports={"80/tcp": 30080},
            hostname="web-1",
            environment={"MESSAGE": "Hello."},
        )
        assert wait_until(lambda: b"tick 1 from web-1" in container.logs(), 10.0)
        with urllib.request.urlopen(f"http://{engine.address}:30080/", timeout=5) as answer:
            page = answer.read().decode()
        assert "<h1>Hello.</h1>" in page
        assert "host <b>web-1</b>, version <b>1</b>" in page
        container.kill("SIGTERM")
        assert container.wait(timeout=2) == {"Error": None, "StatusCode": 0}


@pytest.mark.engine
def test_it_runs_hardened_and_exits_as_told(engine: Engine) -> None:
    with engine.client() as client:
        container = client.containers.run(
            "berth/demo",
            detach=True,
            user="1000",
            read_only=True,
            tmpfs={"/tmp": "size=1m"},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            environment={"PORT": "8080", "EXIT_AFTER": "1", "EXIT_CODE": "3"},
        )
        assert container.wait(timeout=10)["StatusCode"] == 3
