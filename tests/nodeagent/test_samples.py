from __future__ import annotations

import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from nodeagent import cgroup
from nodeagent.observer import Observer
from nodeagent.protocol import Sample, Samples
from nodeagent.runtime.base import Usage
from nodeagent.runtime.engine import DockerRuntime
from nodeagent.samples import Sampler
from tests.nodeagent.builders import CLUSTER, identity, shell
from tests.nodeagent.fake import FakeRuntime

ID = "a" * 64
BLOCKS = "8:0 Read 10\n8:0 Write 40\n8:1 Read 20\nTotal 70\n"
NET = """Inter-|   Receive                            |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls
    lo:  999       9    0    0    0     0          0         0      999       9    0    0    0     0       0          0
  eth0: 1000      10    0    0    0     0          0         0      200       2    0    0    0     0       0          0
  eth1:    5       1    0    0    0     0          0         0        7       1    0    0    0     0       0          0
"""


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def expected(at: float) -> Usage:
    return Usage(
        at=at,
        cpu_ns=5_000_000_000,
        memory=700,
        net_rx=1005,
        net_tx=207,
        block_read=30,
        block_write=40,
        pids=3,
    )


def test_cgroup_v1_is_read(tmp_path: Path) -> None:
    lines = [
        f"5:memory:/docker/{ID}",
        f"4:cpu,cpuacct:/docker/{ID}",
        f"3:pids:/docker/{ID}",
        f"2:blkio:/docker/{ID}",
    ]
    write(
        tmp_path,
        {
            "proc/7/cgroup": "\n".join([*lines, "1:name=systemd:/x", "0::/"]),
            "proc/7/net/dev": NET,
            f"cg/memory/docker/{ID}/memory.usage_in_bytes": "1000\n",
            f"cg/memory/docker/{ID}/memory.stat": "cache 500\ntotal_inactive_file 300\n",
            f"cg/cpuacct/docker/{ID}/cpuacct.usage": "5000000000\n",
            f"cg/pids/docker/{ID}/pids.current": "3\n",
            f"cg/blkio/docker/{ID}/blkio.throttle.io_service_bytes": BLOCKS,
        },
    )
    place = cgroup.find(7, ID, tmp_path / "cg", tmp_path / "proc")
    assert place is not None
    usage = cgroup.read(place, tmp_path / "proc")
    assert usage == expected(usage.at)


@pytest.mark.parametrize("scope", [f"system.slice/docker-{ID}.scope", f"docker/{ID}"])
def test_cgroup_v2_is_read(tmp_path: Path, scope: str) -> None:
    write(
        tmp_path,
        {
            "proc/7/cgroup": f"0::/{scope}\n",
            "proc/7/net/dev": NET,
            f"cg/{scope}/memory.current": "1000\n",
            f"cg/{scope}/memory.stat": "anon 600\ninactive_file 300\n",
            f"cg/{scope}/cpu.stat": "usage_usec 5000000\nuser_usec 1\n",
            f"cg/{scope}/pids.current": "3\n",
            f"cg/{scope}/io.stat": "8:0 rbytes=10 wbytes=40 rios=1\n8:1 rbytes=20 wbytes=0\n",
        },
    )
    place = cgroup.find(7, ID, tmp_path / "cg", tmp_path / "proc")
    assert place is not None
    usage = cgroup.read(place, tmp_path / "proc")
    assert usage == expected(usage.at)


def test_what_belongs_to_another_process_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, {"proc/7/cgroup": "0::/docker/other\n"})
    assert cgroup.find(7, ID, tmp_path / "cg", tmp_path / "proc") is None
    assert cgroup.find(8, ID, tmp_path / "cg", tmp_path / "proc") is None


def test_where_the_kernel_hides_it_the_engine_is_asked(fake: FakeRuntime) -> None:
    fake.create(identity(), shell("sleep 1000"))
    fake.start(identity().engine_name)
    fake.change(identity().engine_name, pid=2**22 + 1)
    observer = Observer(fake, lambda: CLUSTER, lambda: None, lambda well: None)
    observer.refresh()
    sampler = Sampler(fake, observer, lambda samples: None)
    assert sampler.sample().samples == ()
    second = sampler.sample()
    expected = Sample(slot="s1", generation=1, cpu=0.0, memory=1 << 20, memory_limit=64 << 20, pids=1)
    assert second.samples == (replace(expected, cpu_total=1_000_000),)
    assert second.node_memory > 0


def sampled(runtime: DockerRuntime, between: float) -> Samples:
    observer = Observer(runtime, lambda: CLUSTER, lambda: None, lambda well: None)
    observer.refresh()
    sampler = Sampler(runtime, observer, lambda samples: None)
    sampler.sample()
    time.sleep(between)
    return sampler.sample()


@pytest.mark.engine
def test_a_busy_containers_numbers_are_right(docker_runtime: DockerRuntime) -> None:
    docker_runtime.create(identity(), shell("while :; do :; done", cpu=300))
    docker_runtime.start(identity().engine_name)
    (sample,) = sampled(docker_runtime, 1.0).samples
    assert 200 < sample.cpu < 400
    assert 0 < sample.memory < sample.memory_limit == 64 << 20
    assert sample.pids == 1


@pytest.mark.engine
def test_both_sources_agree(docker_runtime: DockerRuntime) -> None:
    docker_runtime.ensure_network("berth-a1", CLUSTER, "a1")
    docker_runtime.create(identity(), shell("sleep 1000", network="berth-a1"))
    docker_runtime.start(identity().engine_name)
    facts = docker_runtime.inspect(identity().engine_name)
    assert facts is not None
    place = cgroup.find(facts.pid, facts.engine_id)
    assert place is not None
    told, read = docker_runtime.stats(facts.engine_id), cgroup.read(place)
    assert read.cpu_ns == pytest.approx(told.cpu_ns, rel=0.2)
    assert read.memory == pytest.approx(told.memory, rel=0.3, abs=1 << 20)
    assert (read.pids, read.net_rx > 0) == (told.pids, told.net_rx > 0)
