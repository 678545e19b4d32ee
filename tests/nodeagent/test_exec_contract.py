"""What a program run inside a container must do; against the fake and against a real engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from nodeagent.runtime import hangup
from nodeagent.runtime.base import ExecRequest, Invalid, NotFound, NotRunning, Process, Runtime
from nodeagent.runtime.engine import DockerRuntime
from tests.nodeagent.builders import identity, shell

NAME = identity().engine_name
PATIENCE = 15.0
Start = Callable[..., Process]


@pytest.fixture
def start(runtime: Runtime) -> Iterator[Start]:
    """What hangs is cut off."""
    runtime.create(identity(), shell("sleep 1000"))
    runtime.start(NAME)

    started: list[threading.Timer] = []

    def execute(*command: str, tty: bool = False) -> Process:
        process = runtime.execute(NAME, ExecRequest(command, tty=tty, width=91, height=17))
        started.append(threading.Timer(PATIENCE, process.close))
        started[-1].start()
        return process

    yield execute
    for timer in started:
        timer.cancel()


def read(process: Process, source: str = "stdout") -> bytes:
    return b"".join(data for name, data in process if name == source)


def test_both_outputs_and_the_exit_code(start: Start) -> None:
    process = start("sh", "-c", "echo one; echo two >&2; exit 3")
    chunks = list(process)
    assert {name: b"".join(data for found, data in chunks if found == name) for name, _ in chunks} == {
        "stdout": b"one\n",
        "stderr": b"two\n",
    }
    assert process.exit_code() == 3


def test_the_end_of_the_input_reaches_the_program_and_its_answer_comes_back(start: Start) -> None:
    process = start("cat")
    process.write(b"one ")
    process.write(b"two\n")
    process.end_input()
    assert (read(process), process.exit_code()) == (b"one two\n", 0)


def test_a_terminal_echoes_has_a_size_and_can_be_resized(start: Start) -> None:
    process = start("sh", "-c", "read x; stty size; read x; stty size; exit 7", tty=True)
    process.write(b"a\n")
    seen = b""
    for _source, data in process:
        seen += data
        if seen == b"a\r\n17 91\r\n":
            process.resize(60, 40)
            process.write(b"b\n")
    assert seen == b"a\r\n17 91\r\nb\r\n40 60\r\n"
    assert process.exit_code() == 7


def test_the_end_of_a_terminals_input_is_its_character(start: Start) -> None:
    process = start("cat", tty=True)
    process.end_input()
    list(process)
    assert process.exit_code() == 0


@pytest.mark.thorough
@pytest.mark.parametrize("tty", [True, False])
@pytest.mark.parametrize("script", ["exec sleep 1000", "trap '' HUP; echo; while :; do sleep 1; done"])
def test_a_program_that_would_go_on_is_ended(start: Start, script: str, tty: bool) -> None:
    process = start("sh", "-c", script, tty=tty)
    reader = threading.Thread(target=list, args=(process,), daemon=True)
    reader.start()
    process.hang_up()
    process.hang_up()
    assert process.exit_code() in (129, 137)
    process.close()
    reader.join(5)
    assert not reader.is_alive()


def test_closing_ends_the_reading(start: Start) -> None:
    process = start("sleep", "1000")
    reader = threading.Thread(target=list, args=(process,), daemon=True)
    reader.start()
    process.close()
    reader.join(5)
    assert not reader.is_alive()
    process.hang_up()


@pytest.mark.parametrize("tty", [True, False])
def test_a_program_that_is_not_there(start: Start, tty: bool) -> None:
    with pytest.raises(Invalid) as caught:
        list(start("/missing/program", tty=tty))
    assert "no such program" in caught.value.message


def test_only_a_running_container_runs_programs(runtime: Runtime) -> None:
    with pytest.raises(NotFound):
        runtime.execute("berth-none-g1", ExecRequest(("sh",)))
    runtime.create(identity(), shell("sleep 1000"))
    with pytest.raises(NotRunning):
        runtime.execute(NAME, ExecRequest(("sh",)))


@pytest.mark.engine
@pytest.mark.parametrize("tty", [True, False])
def test_where_the_host_is_not_seen_a_shell_inside_ends_the_program(
    docker_runtime: DockerRuntime, monkeypatch: pytest.MonkeyPatch, tty: bool
) -> None:
    monkeypatch.setattr(hangup, "on_host", lambda *_: False)
    docker_runtime.create(identity(), shell("sleep 1000", environment={"LINES": "one\ntwo"}))
    docker_runtime.start(NAME)
    other = docker_runtime.execute(NAME, ExecRequest(("sh", "-c", "read x; exit 5")))
    process = docker_runtime.execute(NAME, ExecRequest(("sleep", "999"), tty=tty))
    process.hang_up()
    assert process.exit_code() in (129, 137)
    other.write(b"\n")
    assert (list(other), other.exit_code()) == ([], 5)
    facts = docker_runtime.inspect(NAME)
    assert facts is not None
    assert facts.state == "running"
