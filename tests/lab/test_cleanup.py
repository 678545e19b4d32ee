"""A killed run leaves nothing behind once the next one has begun, and living runs are left alone."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab import cleanup, hosts, requirements
from lab.processes import (
    RECORD_SUFFIX,
    Identity,
    all_pids,
    identify,
    read_record,
    start_time,
    wait_until,
    write_record,
)
from lab.state import Run
from tests.conftest import require

VICTIM = """
import sys, time
from pathlib import Path
from lab import demo_image
from lab.engine import Engine
from lab.redis_server import RedisServer
from lab.state import Run
run = Run.create(sys.argv[1])
RedisServer(run).start()
host = run.network.add_host()
engine = Engine(run.directory / "e1", netns=host.netns, address=host.address)
engine.start()
demo_image.build(run.directory / "demo.tar")
engine.load(run.directory / "demo.tar")
with engine.client() as client:
    client.containers.run("berth/demo", detach=True, name="web", restart_policy={"Name": "always"})
print(run.directory, flush=True)
time.sleep(600)
"""


def processes_of(directory: Path, ids: list[str]) -> dict[int, str]:
    """Names by pid: the recorded programs, helpers with the run's path, what is in its containers."""
    records = [read_record(path) for path in directory.glob(f"*{RECORD_SUFFIX}")]
    recorded = {identity.pid for identity in records if identity}
    found = [
        pid
        for pid in all_pids()
        if pid in recorded or mentions(pid, "cmdline", [f"{directory}/"]) or mentions(pid, "cgroup", ids)
    ]
    names = {pid: name_of(pid) for pid in found}
    return {pid: name for pid, name in names.items() if name}


def name_of(pid: int) -> str:
    """Empty for one that is gone meanwhile."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def mentions(pid: int, name: str, texts: list[str]) -> bool:
    try:
        content = Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return False
    return any(text in content for text in texts)


@pytest.mark.engine
@pytest.mark.redis
def test_the_next_run_removes_all_of_a_killed_one() -> None:
    require(requirements.engine() or requirements.redis())
    victim = subprocess.Popen([sys.executable, "-c", VICTIM, "bk"], stdout=subprocess.PIPE, text=True)
    assert victim.stdout is not None
    directory = Path(victim.stdout.readline().strip())
    ids = [path.name for path in directory.glob("*/data/containers/*")]
    assert len(ids) == 1
    expected = {"redis-server", "dockerd", "containerd", "httpd"}
    assert wait_until(lambda: expected <= set(processes_of(directory, ids).values()), 10.0)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    left = processes_of(directory, ids)
    assert expected <= set(left.values())

    with Run.create("bk"):
        assert not directory.exists()
        assert [pid for pid in left if start_time(pid)] == []
        assert f"{directory.name}-1" not in hosts.run("ip", "netns", "list")
        assert f" {directory.name}:" not in hosts.run("ip", "-o", "link", "show")
        assert f"{directory}/" not in Path("/proc/self/mounts").read_text()
        assert [path for name in ids for path in Path("/sys/fs/cgroup").glob(f"**/docker/{name}")] == []


def test_the_next_run_leaves_a_living_one_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_LAB_DIR", str(tmp_path))
    with Run.create("ba") as first:
        sleeper = first.process("sleeper", ["sleep", "60"])
        sleeper.start()
        with Run.create("bb"):
            assert sleeper.pid is not None
    assert not sleeper.alive
    assert list(tmp_path.iterdir()) == [tmp_path / "lock"]


def test_a_reused_pid_is_not_ended(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        real = identify(bystander.pid)
        run = tmp_path / "bc"
        run.mkdir()
        write_record(run / f"x{RECORD_SUFFIX}", Identity(real.pid, real.start - 1, real.boot))
        write_record(run / f"y{RECORD_SUFFIX}", Identity(real.pid, real.start, "another-boot"))
        cleanup.remove_run(run)
        assert not run.exists()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_children_of_a_killed_program_are_ended_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_LAB_DIR", str(tmp_path))
    with Run.create("bd") as run:
        parent = run.process("parent", ["sh", "-c", "sleep 600 & echo $!; wait"])
        parent.start()
        assert wait_until(lambda: parent.tail().strip(), 5.0)
        child = int(parent.tail())
        parent.kill()
        assert start_time(child) is not None
    assert wait_until(lambda: start_time(child) is None, 2.0)
