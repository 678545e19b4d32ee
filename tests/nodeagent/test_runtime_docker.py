"""What only the Docker runtime does."""

from __future__ import annotations

import io
import json
import os
import signal
import ssl
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lab.engine import Engine
from lab.processes import wait_until
from nodeagent.hardening import CAPABILITIES
from nodeagent.protocol import LABEL_CLUSTER, File, Healthcheck, LogLine, Mount, PortBinding, Ulimit
from nodeagent.runtime import demux, faults, parse
from nodeagent.runtime.base import (
    ContainerFacts,
    EngineError,
    EngineTimeout,
    EngineUnavailable,
    Invalid,
    Listing,
    RegistryDenied,
    RegistryUnreachable,
)
from nodeagent.runtime.engine import HEARD, DockerRuntime, archive
from nodeagent.runtime.parse import timestamp
from nodeagent.runtime.pull import read_pull
from tests.nodeagent.builders import CLUSTER, identity, shell, spec

NAME = identity().engine_name


def output(runtime: DockerRuntime, script: str, **changes: Any) -> list[str]:
    """What a container's shell script says until it ends."""
    runtime.create(identity(), shell(script, **changes))
    files = changes.get("files", ())
    if files:
        runtime.write_files(NAME, files)
    runtime.start(NAME)
    return [line.text for line in runtime.logs(NAME, follow=True, tail=-1, since=0.0)]


def test_a_list_waits_for_one_silent_container_and_asks_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, asked = DockerRuntime("unix:///nowhere"), list[str]()
    known = ContainerFacts(engine_id="b", name="b", labels={}, state="running")
    items = [{"Id": id_, "Labels": {LABEL_CLUSTER: CLUSTER}, "State": "running"} for id_ in "abc"]

    def late(name: str) -> ContainerFacts:
        asked.append(name)
        raise EngineTimeout("no answer in time")

    monkeypatch.setattr(runtime._engine, "json", lambda *_, **__: items)
    monkeypatch.setattr(runtime, "inspect", late)
    assert runtime.list_managed(CLUSTER, {"b": known}) == Listing((known,), 0, frozenset({"a", "c"}))
    assert asked == ["a"]


def test_an_image_is_removed_without_force_and_without_its_parents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those may be the steps of somebody's build on an engine that others share."""
    runtime, asked = DockerRuntime("unix:///nowhere"), list[tuple[str, str, dict[str, str]]]()

    def call(method: str, path: str, *, params: dict[str, str], **_: object) -> bytes:
        asked.append((method, path, params))
        return b"[]"

    monkeypatch.setattr(runtime._engine, "call", call)
    runtime.remove_image("registry.test/a@sha256:1")
    [(method, path, params)] = asked
    assert (method, params) == ("DELETE", {"force": "0", "noprune": "1"})
    assert path.startswith("/images/registry.test/a")


@pytest.mark.parametrize(
    ("driver", "containers", "peers", "parted"),
    [
        ("bridge", {}, None, None),
        ("overlay", {"6c77": {}, "lb-berth-a1_default": {}}, [{}, {}], None),
        ("overlay", {"lb-berth-a1_default": {}}, [{}, {}], False),
        ("overlay", {"ep-b85f": {}}, [{}], False),
        ("overlay", {}, [{}], False),
        ("overlay", None, None, True),
    ],
)
def test_whether_an_engine_has_given_a_network_up(
    driver: str, containers: Any, peers: Any, parted: bool | None
) -> None:
    assert parse.parting({"Driver": driver, "Containers": containers, "Peers": peers}) is parted
    assert parse.parting(None) is True


def test_the_end_of_a_network_on_an_engine_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, paused = DockerRuntime("unix:///nowhere"), list[float]()
    going = {"Driver": "overlay", "Containers": {}, "Peers": [{}]}
    looks: list[dict[str, Any] | EngineError | None] = [going, EngineError("endpoint not found"), None]

    def look(*_: str) -> dict[str, Any] | None:
        seen = looks.pop(0)
        if isinstance(seen, EngineError):
            raise seen
        return seen

    monkeypatch.setattr(runtime._engine, "found", look)
    monkeypatch.setattr("nodeagent.runtime.engine.time.sleep", paused.append)
    runtime.await_parted("berth-a1_default")
    assert (looks, paused) == ([], [0.1, 0.1, HEARD])

    looks.append({"Driver": "bridge", "Containers": {}})
    runtime.await_parted("berth-a1")
    assert len(paused) == 3


@pytest.mark.engine
def test_a_network_is_asked_for_once_as_long_as_its_end_would_be_heard(
    docker_runtime: DockerRuntime, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, asked = docker_runtime, list[str]()
    found = runtime._engine.found

    def note(path: str, what: str) -> dict[str, Any] | None:
        asked.append(path)
        return found(path, what)

    monkeypatch.setattr(runtime._engine, "found", note)

    def exists() -> bool:
        return runtime.network_exists("berth-a1", CLUSTER, "a1")

    runtime.ensure_network("berth-a1", CLUSTER, "a1")
    assert exists()
    assert exists()
    assert len(asked) == 3, "nobody listens"
    events = runtime.events()
    thread = threading.Thread(target=lambda: list(events), daemon=True)
    thread.start()
    assert wait_until(lambda: runtime._listening, 5.0, every=0.01)
    assert [exists(), exists(), exists()] == [True] * 3
    assert len(asked) == 4
    with engine.client() as client:
        client.networks.get("berth-a1").remove()
    assert wait_until(lambda: not exists(), 5.0, every=0.05)
    runtime.ensure_network("berth-a1", CLUSTER, "a1")
    assert exists()
    assert runtime.remove_network_if_unused("berth-a1", CLUSTER)
    assert not exists()
    runtime.ensure_network("berth-a1", CLUSTER, "a1")
    assert exists()
    events.close()
    thread.join(5)
    asked.clear()
    assert exists()
    assert exists()
    assert len(asked) == 2


@pytest.mark.engine
def test_what_was_made_is_told_as_the_engine_would(docker_runtime: DockerRuntime) -> None:
    docker_runtime.ensure_network("berth-a1", CLUSTER, "a1")
    ports = (PortBinding(host=31998, container=81), PortBinding(host=31997, container=80))
    wanted = shell("sleep 1", network="berth-a1", aliases=("web",), ports=ports, tty=True, stop_grace=2.5)
    told = docker_runtime.create(identity(), wanted)
    seen = docker_runtime.inspect(told.engine_id)
    assert seen is not None
    assert told.labels.items() <= seen.labels.items()
    assert told.networks.keys() == seen.networks.keys()
    assert told == replace(seen, labels=told.labels, networks=told.networks)


@pytest.mark.engine
def test_the_engine_holds_exactly_what_was_asked(docker_runtime: DockerRuntime, engine: Engine) -> None:
    wanted = spec(
        environment={"A": "b=c"},
        labels={"com.example": "x"},
        hostname="web-1",
        init=True,
        restart="on-failure",
        restart_max=3,
        network="berth-a1",
        aliases=("web",),
        healthcheck=Healthcheck(
            test=("CMD-SHELL", "true"), interval=1.5, timeout=2.0, retries=4, start_period=3.0
        ),
        mounts=(
            Mount(kind="volume", source="a1-data", target="/data"),
            Mount(kind="tmpfs", target="/scratch", size=1 << 20),
        ),
        ulimits=(Ulimit(name="nofile", soft=100, hard=10**9),),
    )
    docker_runtime.ensure_network("berth-a1", CLUSTER, "a1")
    docker_runtime.create(identity(), wanted)
    with engine.client() as client:
        data = client.api.inspect_container(NAME)
    host = data["HostConfig"]
    assert {key: host[key] for key in ("Memory", "MemorySwap", "NanoCpus", "PidsLimit", "Privileged")} == {
        "Memory": 64 << 20,
        "MemorySwap": 64 << 20,
        "NanoCpus": 250_000_000,
        "PidsLimit": 64,
        "Privileged": False,
    }
    assert host["CapDrop"] == ["ALL"]
    assert sorted(host["CapAdd"]) == sorted(CAPABILITIES)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["LogConfig"] == {"Type": "local", "Config": {"max-size": str(10 << 20), "max-file": "3"}}
    assert (host["Init"], host["ShmSize"], host["NetworkMode"]) == (True, 64 << 20, "berth-a1")
    hard = int(subprocess.run(["sh", "-c", "ulimit -Hn"], capture_output=True, text=True, check=True).stdout)
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 100, "Hard": hard}]
    config = data["Config"]
    assert config["Healthcheck"] == {
        "Test": ["CMD-SHELL", "true"],
        "Interval": 1_500_000_000,
        "Timeout": 2_000_000_000,
        "StartPeriod": 3_000_000_000,
        "Retries": 4,
    }
    assert "A=b=c" in config["Env"]
    assert (config["Hostname"], config["StopTimeout"]) == ("web-1", 1)
    # Its health check has not spoken yet.
    assert "web" not in (data["NetworkSettings"]["Networks"]["berth-a1"]["Aliases"] or ())
    assert config["Labels"]["berth.names"] == '{"berth-a1":["web"]}'
    docker_runtime.start(NAME)
    docker_runtime.stop(NAME, 0.0)


@pytest.mark.engine
def test_inside_nothing_of_the_host_is_left(docker_runtime: DockerRuntime) -> None:
    status = output(docker_runtime, "cat /proc/1/status; ulimit -n")
    fields = {line.partition(":")[0]: line.partition(":")[2].strip() for line in status}
    bits = {
        "CHOWN": 0,
        "DAC_OVERRIDE": 1,
        "FOWNER": 3,
        "KILL": 5,
        "SETGID": 6,
        "SETUID": 7,
        "NET_BIND_SERVICE": 10,
    }
    assert set(bits) == set(CAPABILITIES)
    assert int(fields["CapBnd"], 16) == sum(1 << bit for bit in bits.values())
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    assert int(status[-1]) <= 20000


@pytest.mark.engine
def test_files_are_there_before_the_start(docker_runtime: DockerRuntime) -> None:
    files = (
        File(target="/run/secrets/key", content=b"canary", mode=0o400, uid=1000, gid=1000),
        File(target="/etc/app.conf", content=b"x=1"),
    )
    said = output(
        docker_runtime,
        "id -u; cat /run/secrets/key /etc/app.conf; ls -ln /run/secrets/key",
        files=files,
        user="1000:1000",
    )
    assert said[0] == "1000"
    assert said[1].startswith("canaryx=1-r--------")


@pytest.mark.engine
def test_health_is_the_engines_word(docker_runtime: DockerRuntime) -> None:
    check = Healthcheck(test=("CMD", "test", "-e", "/tmp/ok"), interval=0.2, timeout=1.0, retries=1)
    docker_runtime.create(identity(), shell("sleep 1; touch /tmp/ok; sleep 1000", healthcheck=check))
    docker_runtime.start(NAME)
    seen: list[str] = []
    deadline = time.monotonic() + 15
    while "healthy" not in seen:
        assert time.monotonic() < deadline
        facts = docker_runtime.inspect(NAME)
        assert facts is not None
        if facts.health not in seen:
            seen.append(facts.health)
        time.sleep(0.05)
    assert seen[0] in {"starting", "unhealthy"}


@pytest.mark.engine
def test_out_of_memory_is_a_fact(docker_runtime: DockerRuntime) -> None:
    docker_runtime.create(identity(), shell("x=a; while :; do x=$x$x; done", memory=16 << 20))
    docker_runtime.start(NAME)
    deadline = time.monotonic() + 20
    while (facts := docker_runtime.inspect(NAME)) is None or not facts.ended:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (facts.oom, facts.exit_code) == (True, 137)


@pytest.mark.engine
def test_an_engine_that_is_away_or_hangs_is_told_apart(docker_runtime: DockerRuntime, engine: Engine) -> None:
    hurried = DockerRuntime(engine.docker_host, timeout=1.0)
    assert hurried.images() != ()
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        with pytest.raises(EngineTimeout):
            hurried.images()
    finally:
        os.kill(engine.pid, signal.SIGCONT)
    assert hurried.images() != ()
    with pytest.raises(EngineUnavailable) as caught:
        DockerRuntime("unix:///nowhere/docker.sock").images()
    assert "Start it; the agent connects by itself." in caught.value.message


@pytest.mark.engine
def test_many_threads_may_ask_at_once(docker_runtime: DockerRuntime) -> None:
    docker_runtime.create(identity(), shell("sleep 1000"))
    errors: list[Exception] = []

    def ask() -> None:
        try:
            for _ in range(20):
                assert docker_runtime.inspect(NAME) is not None
        except Exception as error:  # noqa: BLE001 - a thread's failure is the test's
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@contextmanager
def engine_of_version(version: str, context: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[str]]]:
    """Something that says it is an engine; its port, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps({"ApiVersion": version} if self.path == "/version" else []).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            """An engine that dies while it tells of its progress."""
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"status": "Downloading"}\n')

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("engine_version", "spoken"), [("1.41", "1.41"), ("1.44", "1.44"), ("1.52", "1.47")])
def test_the_version_that_both_know_is_spoken(engine_version: str, spoken: str) -> None:
    with engine_of_version(engine_version) as (port, asked):
        assert DockerRuntime(f"tcp://127.0.0.1:{port}").images() == ()
    assert asked == ["/version", f"/v{spoken}/images/json"]


def test_a_tls_engine_is_trusted_by_its_own_ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever REQUESTS_CA_BUNDLE says: machines set it for other purposes."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    subject = ["-subj", "/CN=berth test", "-addext", "subjectAltName=IP:127.0.0.1"]
    paths = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run([*command, *subject, *paths, "-days", "2"], check=True, capture_output=True)
    (tmp_path / "ca.pem").write_bytes((tmp_path / "cert.pem").read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with engine_of_version("1.41", context) as (port, asked):
        assert DockerRuntime(f"tcp://127.0.0.1:{port}", tls_dir=str(tmp_path)).images() == ()
    assert asked == ["/version", "/v1.41/images/json"]


def frame(source: int, payload: bytes) -> bytes:
    return bytes([source, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_lines_are_cut_right_whatever_the_portions(size: int) -> None:
    at = b"2026-01-01T00:00:00.5Z "
    data = (
        frame(1, at + b"one\n") + frame(2, at + b"err\n") + frame(1, at + "zwei ü".encode()) + frame(1, b"\n")
    )
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    found = list(demux.lines(chunks, tty=False))
    stamp = "2026-01-01T00:00:00.5Z"
    assert found == [
        LogLine(at=stamp, source="stdout", text="one"),
        LogLine(at=stamp, source="stderr", text="err"),
        LogLine(at=stamp, source="stdout", text="zwei ü"),
    ]


def test_a_line_without_end_comes_in_pieces() -> None:
    chunks = (b"x" * 10_000 for _ in range(10))
    found = list(demux.lines(chunks, tty=True))
    assert len(found) > 3


def test_a_pull_reports_and_fails_as_its_stream_says() -> None:
    heard: list[tuple[str, int, int]] = []
    lines = [
        b'{"status":"Pulling fs layer","id":"a"}',
        b"",
        b'{"status":"Downloading","id":"a","progressDetail":{"current":5,"total":10}}',
        b'{"status":"Downloading","id":"b","progressDetail":{"current":1,"total":20}}',
    ]
    read_pull("app:1", lines, lambda *said: heard.append(said), time.monotonic() + 5)
    assert heard == [("Pulling fs layer", 0, 0), ("Downloading", 5, 10), ("Downloading", 6, 30)]
    with pytest.raises(EngineTimeout):
        read_pull("app:1", lines, lambda *said: None, time.monotonic() - 1)
    with pytest.raises(RegistryDenied):
        read_pull(
            "app:1", [b'{"error":"pull access denied for app"}'], lambda *said: None, time.monotonic() + 5
        )


@pytest.mark.parametrize(
    ("words", "code", "fatal"),
    [
        (
            "pull access denied for x, repository does not exist or may require 'docker login'",
            "registry-denied",
            True,
        ),
        ("manifest for x:9 not found: manifest unknown: manifest unknown", "image-missing", True),
        ("no matching manifest for linux/arm64 in the manifest list entries", "image-missing", True),
        ("Get https://r/v2/: dial tcp: lookup r on 1.1.1.1:53: no such host", "registry-unreachable", False),
        (
            "Get https://r/v2/: net/http: request canceled (Client.Timeout exceeded)",
            "registry-unreachable",
            False,
        ),
        ("unauthorized: authentication required", "registry-denied", True),
        ("write /var/lib/docker/x: no space left on device", "disk-full", True),
        ("toomanyrequests: rate limit", "registry-unreachable", False),
    ],
)
def test_why_a_pull_failed(words: str, code: str, fatal: bool) -> None:
    fault = faults.pull_fault("x:9", words)
    assert (fault.code, fault.fatal) == (code, fatal)
    assert fault.message.startswith(f"The image x:9 cannot be pulled on this node: {words[:20]}")


def test_other_faults_are_told_apart() -> None:
    assert faults.create_fault("n", 409, "Conflict. The name is already in use").code == "conflict"
    assert faults.create_fault("n", 404, "No such image: x").code == "image-missing"
    assert faults.create_fault("n", 400, "minimum memory limit allowed is 6MB").code == "invalid"
    assert faults.general_fault("w", 409, "volume is in use - [x]").code == "in-use"
    pools = faults.general_fault("w", 500, "could not find an available, non-overlapping IPv4 address pool")
    assert (pools.code, "address pools" in pools.message) == ("engine", True)
    assert isinstance(faults.start_fault("n", 400, "exec: no such file or directory"), Invalid)
    assert isinstance(faults.pull_fault("x", "EOF"), RegistryUnreachable)


@pytest.mark.parametrize(
    "words",
    [
        "You cannot remove a running container 1a. Stop the container before attempting removal or force remove",
        "You cannot remove a restarting container 1a. Stop the container before attempting removal",
        "You cannot remove a paused container 1a. Unpause and then stop the container",
        'cannot remove container "/x": container is running: stop the container before removing',
        'cannot remove container "/x": container is restarting: stop the container before removing',
    ],
)
def test_what_still_runs_is_removed_later(words: str) -> None:
    fault = faults.general_fault("w", 409, words)
    assert (fault.code, fault.fatal) == ("running", False)


def test_files_for_a_read_only_root_are_not_tried_for_ever() -> None:
    fault = faults.general_fault("w", 500, "container rootfs is marked read-only")
    assert (fault.code, fault.fatal) == ("invalid", True)


def test_an_engine_that_dies_during_a_pull_is_named() -> None:
    with engine_of_version("1.41") as (port, _), pytest.raises(EngineUnavailable):
        DockerRuntime(f"tcp://127.0.0.1:{port}").pull("x:1", None, lambda *_: None, 5.0)


@pytest.mark.parametrize(
    ("state", "status", "health", "same"),
    [
        ("running", "Up 3 minutes", "none", True),
        ("running", "Up 3 minutes (healthy)", "healthy", True),
        ("running", "Up 3 minutes (health: starting)", "starting", True),
        ("running", "Up 3 minutes (unhealthy)", "healthy", False),
        ("running", "Up 3 minutes", "starting", False),
        ("paused", "Up 3 minutes (Paused)", "none", False),
        ("exited", "Exited (0) 2 seconds ago", "none", False),
    ],
)
def test_what_a_list_shows_to_have_changed(state: str, status: str, health: Any, same: bool) -> None:
    known = ContainerFacts(engine_id="x", name="x", labels={}, state="running", health=health)
    found = parse.unchanged({"State": state, "Status": status}, known)
    assert found == (known if same else None)
    assert parse.unchanged({"State": state, "Status": status}, None) is None


def test_the_engines_times() -> None:
    assert timestamp("0001-01-01T00:00:00Z") is None
    assert timestamp("1970-01-01T00:00:01.123456789Z") == pytest.approx(1.123456, abs=1e-6)
    assert timestamp("1970-01-01T01:00:01+01:00") == 1.0


def test_the_archive_of_files_keeps_owner_and_mode() -> None:
    data = archive((File(target="/run/x", content=b"abc", mode=0o400, uid=7, gid=8),))
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        (entry,) = opened.getmembers()
    assert (entry.name, entry.size, entry.mode, entry.uid, entry.gid) == ("run/x", 3, 0o400, 7, 8)
