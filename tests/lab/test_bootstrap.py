"""ops/bootstrap.sh: says what is missing and how to get it, or gets it; done once, it does nothing."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (
    "bash",
    "env",
    "dirname",
    "cut",
    "tr",
    "sha256sum",
    "grep",
    "head",
    "tail",
    "mktemp",
    "cat",
    "rm",
    "chmod",
)


class Bare:
    """A machine that has Python and little else: a PATH of our own, with stand-ins for `id` and `apt-get`."""

    def __init__(self, folder: Path, uid: int) -> None:
        self.bin, self.venv, self.calls = folder / "bin", folder / "venv", folder / "apt.log"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool}"))
        (self.bin / "python3").symlink_to(sys.executable)
        self.program("id", f"echo {uid}")
        self.program("apt-get", f'echo "$*" >>{self.calls}')
        (self.venv / "bin").mkdir(parents=True)
        (self.venv / "bin" / "python").symlink_to(sys.executable)
        self.stamp("requirements.txt", "run")

    def program(self, name: str, line: str) -> None:
        (self.bin / name).write_text(f"#!{shutil.which('bash')}\n{line}\n")
        (self.bin / name).chmod(0o755)

    def stamp(self, lock: str, kind: str) -> None:
        digest = hashlib.sha256((ROOT / lock).read_bytes()).hexdigest()[:32]
        (self.venv / f".berth-{kind}").write_text(f"{digest}\n")

    def bootstrap(self, **env: str) -> subprocess.CompletedProcess[str]:
        given = {"PATH": str(self.bin), "VENV": str(self.venv), "PYTHON": "python3", **env}
        argv = [str(self.bin / "bash"), str(ROOT / "ops" / "bootstrap.sh"), "run"]
        return subprocess.run(argv, env=given, capture_output=True, text=True, check=False)


def test_without_root_it_names_what_is_missing_why_and_the_command(tmp_path: Path) -> None:
    bare = Bare(tmp_path, uid=1000)
    done = bare.bootstrap()
    assert done.returncode == 0
    assert "  redis-server     for queues and live updates" in done.stdout.splitlines()
    command = next(line for line in done.stdout.splitlines() if "get them with" in line)
    assert "sudo apt-get install --no-install-recommends" in command
    assert {"redis-server", "busybox-static", "gettext"} <= set(command.split())
    assert not bare.calls.exists()


def test_a_redis_elsewhere_is_not_asked_for(tmp_path: Path) -> None:
    assert "redis-server" not in Bare(tmp_path, uid=1000).bootstrap(REDIS_URL="redis://r/0").stdout


def test_as_root_it_installs_what_is_missing_at_once(tmp_path: Path) -> None:
    bare = Bare(tmp_path, uid=0)
    bare.program("apt-get", f'echo "$*" >>{bare.calls}; [ "$1" = update ] || exit 100')
    done = bare.bootstrap()
    assert done.returncode == 1
    assert "apt-get could not install: " in done.stdout
    update, install = bare.calls.read_text().splitlines()
    assert update == "update -q"
    assert install.startswith("install -y -q --no-install-recommends ")
    assert {"redis-server", "busybox-static", "gettext"} <= set(install.split())


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    bare = Bare(tmp_path, uid=0)
    for name in ("redis-server", "msgfmt", "dockerd", "iptables"):
        bare.program(name, "exit 1")
    (bare.bin / "busybox").symlink_to("/bin/true" if not Path("/bin/busybox").exists() else "/bin/busybox")
    done = bare.bootstrap()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not bare.calls.exists()


def test_another_lock_file_installs_anew(tmp_path: Path) -> None:
    bare = Bare(tmp_path, uid=1000)
    (bare.venv / ".berth-run").write_text("another\n")
    (bare.venv / "bin" / "python").unlink()
    (bare.venv / "bin" / "python").write_text(f'#!{shutil.which("bash")}\necho "$*" >>{tmp_path}/pip.log\n')
    (bare.venv / "bin" / "python").chmod(0o755)
    assert bare.bootstrap().returncode == 0
    expected = "-m pip install -qq --disable-pip-version-check --require-hashes -r requirements.txt"
    assert (tmp_path / "pip.log").read_text().splitlines() == [expected]
    bare.bootstrap()
    assert len((tmp_path / "pip.log").read_text().splitlines()) == 1
