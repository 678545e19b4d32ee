"""Secrets on a node: from a sealed job to files that only their container and the agent see."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from nacl.public import PublicKey, SealedBox

from nodeagent.errors import Refused
from nodeagent.hardening import assert_safe
from nodeagent.protocol import Ensure, File, Remove, Secret, Sync
from nodeagent.runtime import payload
from nodeagent.seal import CannotOpen, NodeKey
from nodeagent.step import Stepper
from nodeagent.vault import (
    NOTHING,
    Bind,
    NoVault,
    Private,
    SecretMissing,
    Shown,
    Vault,
    Withheld,
    in_memory,
    label,
    shown,
)
from tests.nodeagent.builders import ensure, identity, spec
from tests.nodeagent.fake import FakeRuntime
from tests.nodeagent.test_step import House

FILE = Secret(name="password", version="v1", target="/run/secrets/password")
VARIABLE = Secret(name="token", version="v2", variable="TOKEN")
VALUES = {"v1": b"correct horse\nbattery staple\n", "v2": b"t0ken-of-mine"}


@pytest.fixture
def memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="berth-test-") as folder:
        yield Path(folder) / "vault"


@pytest.fixture
def key(tmp_path: Path) -> NodeKey:
    return NodeKey(tmp_path)


@pytest.fixture
def vault(memory: Path, key: NodeKey) -> Vault:
    return Vault(memory, key)


def job(key: NodeKey, *secrets: Secret, values: dict[str, bytes] = VALUES, **changes: object) -> Ensure:
    sealed = SealedBox(PublicKey(key.public_key)).encrypt(msgspec.msgpack.encode(values))
    made = ensure("s1", 1, spec(secrets=secrets, **changes))
    return msgspec.structs.replace(made, sealed=sealed)


def test_a_container_without_secrets_gets_nothing(vault: Vault, memory: Path) -> None:
    assert vault.prepare(ensure()) is NOTHING
    assert not memory.exists()


def test_files_are_their_owners_alone(vault: Vault, key: NodeKey, memory: Path) -> None:
    owned = msgspec.structs.replace(FILE, uid=1000, gid=1001, mode=0o440)
    private = vault.prepare(job(key, owned, VARIABLE))
    (bind,) = private.binds
    assert bind == Bind(str(memory / "berth-s1-g1" / "0"), "/run/secrets/password")
    found = Path(bind.source).stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1000, 1001, 0o440)
    assert Path(bind.source).read_bytes() == VALUES["v1"]
    assert stat.S_IMODE((memory / "berth-s1-g1").stat().st_mode) == 0o700
    assert dict(private.variables or {}) == {"TOKEN": "t0ken-of-mine"}


def test_preparing_again_is_the_same(vault: Vault, key: NodeKey) -> None:
    wanted = job(key, FILE)
    assert vault.prepare(wanted) == vault.prepare(wanted)


@pytest.mark.parametrize("values", [{}, {"v2": b"x"}])
def test_without_its_values_nothing_starts(vault: Vault, key: NodeKey, values: dict[str, bytes]) -> None:
    with pytest.raises(SecretMissing, match="password"):
        vault.prepare(job(key, FILE, values=values))
    with pytest.raises(SecretMissing):
        vault.prepare(msgspec.structs.replace(job(key, FILE), sealed=b""))


def test_values_for_another_node_cannot_be_opened(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(CannotOpen):
        vault.prepare(job(NodeKey(tmp_path / "other"), FILE))


def test_a_disk_is_no_place_for_secrets(tmp_path: Path, key: NodeKey) -> None:
    assert not in_memory(tmp_path)
    with pytest.raises(NoVault, match="not in memory"):
        Vault(tmp_path / "vault", key).prepare(job(key, FILE))


def test_a_folder_that_is_open_to_others_is_not_used(memory: Path, vault: Vault, key: NodeKey) -> None:
    memory.mkdir()
    memory.chmod(0o755)
    with pytest.raises(NoVault, match="open to others"):
        vault.prepare(job(key, FILE))
    shutil.rmtree(memory)
    memory.symlink_to("/dev/shm")
    with pytest.raises(NoVault):
        vault.prepare(job(key, FILE))


def test_into_a_read_only_root_configs_come_by_the_vault_too(vault: Vault, key: NodeKey) -> None:
    config = File(target="/etc/app.conf", content=b"greeting=hello")
    private = vault.prepare(job(key, FILE, read_only=True, files=(config,)))
    assert [bind.target for bind in private.binds] == ["/run/secrets/password", "/etc/app.conf"]
    assert Path(private.binds[1].source).read_bytes() == b"greeting=hello"
    redact = vault.redactor("berth-s1-g1", Shown())
    assert redact is not None
    assert redact("greeting=hello") == "greeting=hello"


def test_logs_lose_the_values_whole_and_by_line(vault: Vault, key: NodeKey) -> None:
    vault.prepare(job(key, FILE, VARIABLE))
    redact = vault.redactor("berth-s1-g1", Shown())
    assert redact is not None
    assert redact("login battery staple, t0ken-of-mine.") == "login •••, •••."
    assert vault.redactor("berth-s2-g1", Shown()) is None


def test_without_its_values_a_log_is_withheld_until_they_are_here_again(
    vault: Vault, key: NodeKey, memory: Path
) -> None:
    wanted = job(key, FILE, VARIABLE)
    vault.prepare(wanted)
    shutil.rmtree(memory)
    has = shown(label(wanted.spec), {"TOKEN": "t0ken-of-mine"}, bound=True)
    with pytest.raises(Withheld, match="berth-s1-g1 stays on its node"):
        vault.redactor("berth-s1-g1", has)
    vault.restore(msgspec.structs.replace(wanted, sealed=b""))
    with pytest.raises(Withheld):
        vault.redactor("berth-s1-g1", has)
    vault.restore(wanted)
    redact = vault.redactor("berth-s1-g1", has)
    assert redact is not None
    assert redact("login battery staple, t0ken-of-mine.") == "login •••, •••."


def test_values_that_are_variables_are_taken_from_the_engine(
    vault: Vault, key: NodeKey, memory: Path
) -> None:
    """Such a container is started by its engine after a reboot: its log goes on."""
    wanted = job(key, VARIABLE)
    vault.prepare(wanted)
    shutil.rmtree(memory)
    redact = vault.redactor("berth-s1-g1", shown(label(wanted.spec), {"TOKEN": "t0ken-of-mine"}, bound=False))
    assert redact is not None
    assert redact("t0ken-of-mine") == "•••"
    with pytest.raises(Withheld):
        vault.redactor("berth-s1-g1", shown(label(wanted.spec), {}, bound=False))


def test_what_is_known_to_have_no_secret_is_not_withheld(vault: Vault) -> None:
    configs = spec(read_only=True, files=(File(target="/etc/app.conf", content=b"x"),))
    assert vault.redactor("berth-s1-g1", shown(label(configs), {}, bound=True)) is None
    assert vault.redactor("berth-s1-g1", shown(label(spec()), {}, bound=False)) is None
    with pytest.raises(Withheld):
        # Made by an agent that gave it no label.
        vault.redactor("berth-s1-g1", shown({}, {}, bound=True))


def test_short_values_are_left_in(vault: Vault, key: NodeKey) -> None:
    vault.prepare(job(key, FILE, values={"v1": b"abc"}))
    assert vault.redactor("berth-s1-g1", Shown()) is None


def test_what_is_dropped_or_swept_is_gone(vault: Vault, key: NodeKey, memory: Path) -> None:
    vault.prepare(job(key, FILE))
    vault.sweep({"berth-s1-g1"})
    assert (memory / "berth-s1-g1").exists()
    vault.sweep(set())
    assert not (memory / "berth-s1-g1").exists()


def test_too_much_is_refused(vault: Vault, key: NodeKey) -> None:
    with pytest.raises(Refused):
        vault.prepare(job(key, FILE, values={"v1": b"x" * (3 << 20)}))


GOOD = Private("/run/berth/n1/berth-s1-g1", (Bind("/run/berth/n1/berth-s1-g1/0", FILE.target),))
WANTED = spec(secrets=(FILE, VARIABLE))


def test_the_vaults_own_files_are_safe() -> None:
    assert_safe(WANTED, payload.host_config(identity(), WANTED, 20000, GOOD), GOOD)


@pytest.mark.parametrize(
    "private",
    [
        Private("/etc", (Bind("/etc/0", FILE.target),)),
        Private("/", (Bind("//0", FILE.target),)),
        Private("", (Bind("/0", FILE.target),)),
        Private("/run/berth/n1/berth-s1-g1/..", (Bind("/run/berth/n1/berth-s1-g1/../0", FILE.target),)),
        Private(GOOD.folder, (Bind("/etc/shadow", FILE.target),)),
        Private(GOOD.folder, (Bind(f"{GOOD.folder}/1", FILE.target),)),
        Private(GOOD.folder, (Bind(f"{GOOD.folder}/../../x", FILE.target),)),
        Private(GOOD.folder, (Bind(f"{GOOD.folder}/0", "/etc/passwd"),)),
        Private(GOOD.folder, (), {"LD_PRELOAD": "x"}),
    ],
)
def test_no_other_path_of_the_host_is(private: Private) -> None:
    with pytest.raises(Refused):
        assert_safe(WANTED, payload.host_config(identity(), WANTED, 20000, private), private)


@pytest.mark.parametrize(
    "change",
    [
        {"ReadOnly": False},
        {"Source": "/var/run/docker.sock"},
        {"Target": "/elsewhere"},
        {"BindOptions": {"Propagation": "rshared"}},
    ],
)
def test_a_changed_bind_is_refused(change: dict[str, object]) -> None:
    config = payload.host_config(identity(), WANTED, 20000, GOOD)
    config["Mounts"][0].update(change)
    with pytest.raises(Refused):
        assert_safe(WANTED, config, GOOD)


def test_a_bind_that_was_not_prepared_is_refused() -> None:
    config = payload.host_config(identity(), WANTED, 20000, GOOD)
    with pytest.raises(Refused):
        assert_safe(WANTED, config)


def test_the_step_writes_before_the_start_and_forgets_at_the_removal(
    fake: FakeRuntime, tmp_path: Path, memory: Path, key: NodeKey
) -> None:
    house = House(fake, tmp_path)
    house.stepper._vault = Vault(memory, key)
    house.assignment.accept(Sync(id="sync", session=1, keep=()))
    house.stepper.ensure(job(key, FILE))
    container = fake.containers["berth-s1-g1"]
    assert container.private.binds == (Bind(str(memory / "berth-s1-g1" / "0"), FILE.target),)
    fake.end("berth-s1-g1", 0)
    assert (memory / "berth-s1-g1").exists()
    house.stepper.remove(Remove(id="r", slot="s1", generation=1))
    assert not (memory / "berth-s1-g1").exists()


def test_a_start_that_is_asked_for_again_brings_back_what_a_running_container_lost(
    fake: FakeRuntime, tmp_path: Path, memory: Path
) -> None:
    key = NodeKey(tmp_path)
    vault = Vault(memory, key)
    house = House(fake, tmp_path)
    stepper = Stepper(fake, house.fence, house.session, vault)
    fake.redactor = vault.redactor
    wanted = job(key, FILE)
    stepper.ensure(wanted)
    fake.say("berth-s1-g1", "login battery staple")
    shutil.rmtree(memory)
    with pytest.raises(Withheld):
        fake.logs("berth-s1-g1", follow=False, tail=-1, since=0.0)
    stepper.ensure(wanted)
    assert [line.text for line in fake.logs("berth-s1-g1", follow=False, tail=-1, since=0.0)] == ["login •••"]
