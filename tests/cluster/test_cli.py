"""The command line against three real engines: deploy, look, read, go inside, scale, go back, delete."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from berth.errors import Exit
from lab.lab import Lab
from ops.home import ROOT

pytestmark = [pytest.mark.engine, pytest.mark.slow]

COMPOSE = (
    "services:\n  web:\n    image: berth/demo\n    environment: {COLOUR: %s}\n    deploy: {replicas: 2}\n"
)


class Shell:
    """`berth` as a script would call it: all from the environment, nothing kept."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.folder = folder
        login = {"BERTH_URL": lab.console.url, "BERTH_TOKEN": lab.owner_token, "NO_PROXY": "*"}
        config = {"BERTH_CONFIG": str(folder / "login.json"), "PYTHONPATH": str(ROOT)}
        self.env = {"PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8", **login, **config}

    def __call__(self, *words: str, stdin: str = "", code: int = Exit.OK) -> str:
        done = subprocess.run(
            self.argv(*words), input=stdin, env=self.env, cwd=self.folder,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "berth", *words]


def test_an_app_from_its_first_deploy_to_its_end(lab3: Lab, tmp_path: Path) -> None:
    berth = Shell(lab3, tmp_path)
    (tmp_path / "compose.yml").write_text(COMPOSE % "red")
    assert json.loads(berth("deploy", "shop", "--json"))["operation"]["state"] == "succeeded"
    (tmp_path / "compose.yml").write_text(COMPOSE % "blue")
    berth("deploy", "shop", "--yes")
    services = json.loads(berth("ps", "shop", "--json"))["services"]
    assert [slot["container"]["desired"]["release"] for slot in services[0]["slots"]] == [2, 2]
    assert berth("exec", "shop/web.2", "--", "sh", "-c", "echo $COLOUR") == "blue\n"
    berth("exec", "shop/web", "--", "sh", "-c", "exit 7", code=7)
    assert berth("exec", "-i", "shop/web", "--", "cat", stdin="x" * 100_000) == "x" * 100_000
    assert {json.loads(line)["name"] for line in berth("logs", "shop", "-n", "1", "--json").splitlines()} == {
        "shop/web.1",
        "shop/web.2",
    }
    berth("scale", "shop", "web=3")
    berth("rollback", "shop", "1")
    assert berth("exec", "shop/web", "--", "sh", "-c", "echo $COLOUR") == "red\n"
    assert "node-1" in berth("nodes")
    berth("delete", "shop", "--yes")
    berth("ps", "shop", code=Exit.NOT_FOUND)


def test_a_rollout_that_fails_is_an_exit_code(lab3: Lab, tmp_path: Path) -> None:
    berth = Shell(lab3, tmp_path)
    (tmp_path / "compose.yml").write_text(
        "services:\n  web:\n    image: berth/nosuch\n    pull_policy: never\n"
    )
    berth("deploy", "bad", "--yes", code=Exit.FAILED)


def test_followed_lines_come_as_they_are_written(lab3: Lab, tmp_path: Path) -> None:
    berth = Shell(lab3, tmp_path)
    (tmp_path / "compose.yml").write_text(COMPOSE % "red")
    berth("deploy", "shop", "--yes")
    following = subprocess.Popen(
        berth.argv("logs", "-f", "shop/web.1", "-n", "0", "--json"),
        env=berth.env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    )
    try:
        assert following.stdout is not None
        lines = [json.loads(following.stdout.readline()) for _number in range(3)]
    finally:
        following.kill()
        following.wait()
    assert {line["name"] for line in lines} == {"shop/web.1"}
    assert lines == sorted(lines, key=lambda line: line["at"])


def test_a_terminal_is_one(lab3: Lab, tmp_path: Path) -> None:
    berth = Shell(lab3, tmp_path)
    (tmp_path / "compose.yml").write_text(COMPOSE % "red")
    berth("deploy", "shop", "--yes")
    ours, theirs = pty.openpty()
    session = subprocess.Popen(
        berth.argv("exec", "-it", "shop/web", "--", "sh"), env=berth.env, cwd=tmp_path,
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, b"test -t 0 && echo ter''minal; exit 5\n")
    seen, end = b"", time.monotonic() + 30
    while b"terminal" not in seen and time.monotonic() < end:
        if select.select([ours], [], [], 0.5)[0]:
            seen += os.read(ours, 4096)
    assert b"terminal" in seen
    assert session.wait(30) == 5
    os.close(ours)
