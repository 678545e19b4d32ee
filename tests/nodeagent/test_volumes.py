"""How volumes are measured: by files where they are seen, by the engine else, and seldom."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodeagent import volumes
from nodeagent.protocol import Mount, VolumeFact, Volumes
from nodeagent.runtime.engine import DockerRuntime
from nodeagent.volumes import VolumeMeter, measured
from tests.nodeagent.builders import CLUSTER, identity, shell
from tests.nodeagent.fake import FakeRuntime


@pytest.fixture
def sent() -> list[Volumes]:
    return []


@pytest.fixture
def meter(fake: FakeRuntime, sent: list[Volumes]) -> VolumeMeter:
    return VolumeMeter(fake, lambda: CLUSTER, sent.append)


def test_folders_that_are_seen_are_measured_on_disk(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x" * 1_000_000)
    (tmp_path / "b c").mkdir()
    places = {"va": tmp_path / "a", "vb": tmp_path / "b c", "vc": tmp_path / "missing"}
    found = measured(places)
    assert set(found) == {"va", "vb"}
    assert 1_000_000 <= found["va"] < 1_100_000
    assert found["vb"] < 100_000


def test_measuring_that_takes_too_long_gives_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volumes, "PATIENCE", 0.0)
    assert measured({"va": tmp_path}) in ({}, {"va": 4096})


def test_where_no_folder_is_seen_the_engine_is_asked(
    fake: FakeRuntime, meter: VolumeMeter, sent: list[Volumes]
) -> None:
    fake.volumes |= {"berth-a1-data": CLUSTER, "theirs": "another"}
    meter.look()
    assert sent == [Volumes(volumes=(VolumeFact(name="berth-a1-data", bytes=4096),))]


def test_it_is_done_seldom_and_at_once_for_a_new_volume(
    fake: FakeRuntime, meter: VolumeMeter, sent: list[Volumes]
) -> None:
    meter.look()
    assert sent == []
    fake.volumes["berth-a1-data"] = CLUSTER
    for _ in range(3):
        meter.look()
    assert len(sent) == 1
    fake.volumes["berth-a1-more"] = CLUSTER
    meter.look()
    assert [fact.name for fact in sent[1].volumes] == ["berth-a1-data", "berth-a1-more"]
    meter._due = 0.0
    meter.look()
    assert len(sent) == 3


@pytest.mark.engine
def test_a_real_engines_volume_is_measured_both_ways(docker_runtime: DockerRuntime) -> None:
    mount = Mount(kind="volume", source="berth-a1-data", target="/data")
    script = "dd if=/dev/zero of=/data/file bs=1000 count=3000; sleep 1000"
    docker_runtime.create(identity(), shell(script, mounts=(mount,)))
    docker_runtime.start(identity().engine_name)
    places = docker_runtime.volume_places(CLUSTER)
    assert list(places) == ["berth-a1-data"]
    assert docker_runtime.volume_places("another") == {}
    for _ in range(50):
        if measured(places).get("berth-a1-data", 0) >= 3_000_000:
            break
    assert 3_000_000 <= measured(places)["berth-a1-data"] < 3_200_000
    assert 2_900_000 < docker_runtime.volume_sizes(places.keys())["berth-a1-data"] < 3_200_000
