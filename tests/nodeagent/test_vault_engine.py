"""Secrets in real containers: what is in them, who reads it, and what survives which restart."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from nacl.public import PublicKey, SealedBox

from lab.engine import Engine
from lab.processes import wait_until
from nodeagent.errors import AgentError
from nodeagent.protocol import Ensure, File, Secret, Spec
from nodeagent.runtime.base import ContainerFacts
from nodeagent.runtime.engine import DockerRuntime
from nodeagent.seal import NodeKey
from nodeagent.vault import Vault, Withheld
from tests.nodeagent.builders import ensure, shell

pytestmark = pytest.mark.engine

NAME = "berth-s1-g1"
PASSWORD, TOKEN = "canary-of-the-file-4711", "canary-of-the-variable-4712"
SECRETS = (
    Secret(name="password", version="v1", target="/run/secrets/password"),
    Secret(name="for app", version="v1", target="/etc/app/password", uid=1000, gid=1000, mode=0o440),
)
SHOW = "ls -ln /run/secrets/password /etc/app/password; cat /run/secrets/password; echo; "


class House:
    def __init__(self, engine: Engine, folder: Path, memory: Path) -> None:
        self.key = NodeKey(folder)
        self.vault = Vault(memory, self.key)
        self.runtime = DockerRuntime(engine.docker_host, redactor=self.vault.redactor)
        self.plain = DockerRuntime(engine.docker_host)

    def job(self, spec: Spec) -> Ensure:
        values = msgspec.msgpack.encode({"v1": PASSWORD.encode(), "v2": TOKEN.encode()})
        sealed = SealedBox(PublicKey(self.key.public_key)).encrypt(values)
        return msgspec.structs.replace(ensure("s1", 1, spec), sealed=sealed)

    def start(self, spec: Spec) -> None:
        job = self.job(spec)
        self.runtime.create(job.identity, spec, self.vault.prepare(job))
        if spec.files and not spec.read_only:
            self.runtime.write_files(NAME, spec.files)
        self.runtime.start(NAME)

    def until(self, condition: Callable[[ContainerFacts], bool]) -> ContainerFacts:
        deadline = time.monotonic() + 20
        while True:
            facts = self.runtime.inspect(NAME)
            assert facts is not None
            if condition(facts):
                return facts
            assert time.monotonic() < deadline, facts
            time.sleep(0.1)

    def log(self, runtime: DockerRuntime) -> list[str]:
        return [line.text for line in runtime.logs(NAME, follow=False, tail=-1, since=0.0)]


@pytest.fixture
def house(engine: Engine, tmp_path: Path) -> Iterator[House]:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="berth-test-") as folder:
        yield House(engine, tmp_path, Path(folder) / "n1")


@pytest.mark.parametrize("read_only", [False, True])
def test_files_are_there_before_the_program_starts(house: House, read_only: bool) -> None:
    config = File(target="/etc/app.conf", content=b"greeting=hello\n")
    house.start(shell(SHOW + "cat /etc/app.conf", secrets=SECRETS, read_only=read_only, files=(config,)))
    house.until(lambda facts: facts.state == "exited")
    lines = house.log(house.plain)
    modes = {
        line.split()[-1]: (*line.split()[:1], *line.split()[2:4]) for line in lines if line.startswith("-")
    }
    assert modes == {
        "/run/secrets/password": ("-r--------", "0", "0"),
        "/etc/app/password": ("-r--r-----", "1000", "1000"),
    }
    assert PASSWORD in lines
    assert "greeting=hello" in lines


def test_only_its_owner_reads_it_and_nobody_writes_it(house: House) -> None:
    script = "cat /etc/app/password; echo; cat /run/secrets/password || echo kept; "
    script += "echo x >/etc/app/password || echo safe"
    house.start(shell(script, secrets=SECRETS, user="1000:1000"))
    house.until(lambda facts: facts.state == "exited")
    lines = house.log(house.plain)
    assert [line for line in lines if line in {PASSWORD, "kept", "safe"}] == [PASSWORD, "kept", "safe"]


def test_a_log_and_an_inspect_show_no_file_secret(house: House, engine: Engine) -> None:
    house.start(shell(SHOW + "sleep 1000", secrets=SECRETS))
    house.until(lambda facts: facts.state == "running")
    deadline = time.monotonic() + 10
    while "•••" not in house.log(house.runtime):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert PASSWORD not in str(house.log(house.runtime))
    with engine.client() as client:
        assert "canary" not in json.dumps(client.api.inspect_container(NAME))


def test_a_variable_is_there_and_inspect_shows_it_which_is_why_there_is_a_warning(
    house: House, engine: Engine
) -> None:
    house.start(shell("echo $TOKEN; sleep 1000", secrets=(Secret(name="t", version="v2", variable="TOKEN"),)))
    house.until(lambda facts: facts.state == "running")
    assert wait_until(lambda: bool(house.log(house.plain)), 10.0)
    assert house.log(house.runtime) == ["•••"]
    # After a reboot the engine starts it by itself, with its variables.
    house.vault.drop(NAME)
    assert house.log(house.runtime) == ["•••"]
    with engine.client() as client:
        assert f"TOKEN={TOKEN}" in client.api.inspect_container(NAME)["Config"]["Env"]


def test_the_engine_restarts_it_with_its_secrets(house: House) -> None:
    script = "test -s /run/secrets/password && echo there; sleep 1; exit 1"
    house.start(shell(script, secrets=SECRETS, read_only=True, restart="unless-stopped"))
    house.until(lambda facts: facts.restarts >= 2)
    assert house.log(house.plain)[:2] == ["there", "there"]


def test_after_a_reboot_the_engine_cannot_start_it_and_says_so(house: House) -> None:
    """The console takes that for its end, and replaces it with its values sent anew."""
    house.start(shell("sleep 1000", secrets=SECRETS, restart="unless-stopped"))
    house.runtime.stop(NAME, 0.0)
    house.vault.drop(NAME)
    with pytest.raises(AgentError):
        house.runtime.start(NAME)
    facts = house.runtime.inspect(NAME)
    assert facts is not None
    assert facts.ended
    with pytest.raises(Withheld):
        house.log(house.runtime)
    house.vault.prepare(house.job(shell("sleep 1000", secrets=SECRETS)))
    house.runtime.start(NAME)
    house.until(lambda facts: facts.state == "running")


def test_a_link_at_its_place_leads_nowhere_on_the_host(house: House) -> None:
    """The image, or a volume, may hold links; the engine resolves them inside of the container."""
    linked = (Secret(name="x", version="v1", target="/proc2/../../etc/shadow2"),)
    with pytest.raises(AgentError):
        house.start(shell("true", secrets=linked))
