"""Secrets on this node: files in memory, one folder for each container, that containers get by read-only mounts.

A folder of the host's own tmpfs, and not a tmpfs of the container: that one is empty again whenever the engine restarts
the container by itself, and takes no files before its start. The price is that a host's reboot empties this one too.
The engine then cannot start such a container, says so, and the console replaces it with values sent anew. Until then
its log stays on the node: nobody could take the values out of it. Nothing of a value is ever written to a disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from nodeagent import names
from nodeagent.errors import AgentError, Refused
from nodeagent.protocol import CONTAINER_PREFIX, LABEL_SECRETS, Ensure, File, Secret, Spec
from nodeagent.seal import NodeKey

MOST_BYTES = 2 * 1024 * 1024
"""Of all values of one container."""
LEAST_REDACTED = 6
"""Shorter texts are too common to be told from what is no secret."""
MASK = "•••"
VALUES = "values"
"""Beside the files: all values, for the redaction of logs."""
_MEMORY = frozenset({"tmpfs", "ramfs"})
_MOUNTS = Path("/proc/self/mountinfo")

Redact = Callable[[str], str]


class NoVault(AgentError):
    """This node has no place for secrets."""

    code = "no-vault"


class SecretMissing(AgentError):
    """The values did not come with the job; the console says why and sends it again."""

    code = "secret-missing"


class Withheld(AgentError):
    """A container's log stays where it is: it may hold secrets, and no value is here to look for."""

    code = "log-withheld"


@dataclass(frozen=True, slots=True)
class Bind:
    """A file of the vault at its place in the container."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Private:
    """What one container gets beside its specification. `folder` holds all its binds' sources."""

    folder: str = ""
    binds: tuple[Bind, ...] = ()
    variables: Mapping[str, str] | None = None


NOTHING = Private()


@dataclass(frozen=True, slots=True)
class Shown:
    """What the engine shows of a container's secrets: the values of those that are variables, and whether there are
    others."""

    values: tuple[str, ...] = ()
    others: bool = False


def label(spec: Spec) -> dict[str, str]:
    """The engine's memory of which secrets a container has, for when the vault has lost them."""
    if not needs(spec):
        return {}
    return {LABEL_SECRETS: msgspec.json.encode([one.variable for one in spec.secrets]).decode()}


def shown(labels: Mapping[str, str], variables: Mapping[str, str], *, bound: bool) -> Shown:
    """From a container's labels and environment. `bound`: it has files of the vault.

    Of one that an older agent made (it has no label) only its files are known: it may have configs alone.
    """
    try:
        names = msgspec.json.decode(labels.get(LABEL_SECRETS, ""), type=list[str])
    except msgspec.MsgspecError:
        return Shown(others=bound)
    found = tuple(variables[name] for name in names if name in variables)
    return Shown(found, others=len(found) < len(names))


def needs(spec: Spec) -> bool:
    """Whether such a container gets anything from the vault."""
    return bool(spec.secrets) or (spec.read_only and bool(spec.files))


class Vault:
    """The node's folder of secrets. Its files are its only memory, so that an agent that restarts goes on."""

    def __init__(self, folder: Path, key: NodeKey | None = None) -> None:
        self._folder = folder
        self._key = key

    def prepare(self, job: Ensure) -> Private:
        """Write what the container needs; again is the same. Raises `SecretMissing`, `NoVault`, `Refused`."""
        if not needs(job.spec):
            return NOTHING
        values = self._values(job)
        folder = self._make(job.identity.engine_name)
        _write(
            folder / VALUES,
            File(target="", content=msgspec.msgpack.encode(list(values.values())), mode=0o400),
        )
        files = _files(job.spec, values)
        for number, file in enumerate(files):
            _write(folder / str(number), file)
        binds = tuple(Bind(str(folder / str(number)), file.target) for number, file in enumerate(files))
        variables = {one.variable: _text(one, values) for one in job.spec.secrets if one.variable}
        return Private(str(folder), binds, variables)

    def drop(self, name: str) -> None:
        """Forget a container's secrets: it is gone."""
        shutil.rmtree(self._folder / name, ignore_errors=True)

    def sweep(self, keep: Collection[str]) -> None:
        """Forget those of all containers but these."""
        with suppress(OSError):
            for name in os.listdir(self._folder):
                if name.startswith(CONTAINER_PREFIX) and name not in keep:
                    self.drop(name)

    def restore(self, job: Ensure) -> None:
        """Write what a container that is there already has lost, as far as the job brings it."""
        if needs(job.spec) and self._kept(job.identity.engine_name) is None:
            with suppress(AgentError):
                self.prepare(job)

    def redactor(self, name: str, shown: Shown) -> Redact | None:
        """Takes the container's secrets out of a line of text; None when it has none.

        Raises `Withheld` when it has some whose values are not here.
        """
        values = self._kept(name)
        if values is None and shown.others:
            raise Withheld(
                f"The log of {name} stays on its node: the values of its secrets are not there any more (the host was "
                "started anew), so they could not be taken out of it. A new container's log is shown."
            )
        kept = shown.values if values is None else [value.decode("utf-8", "ignore") for value in values]
        texts = {text for value in kept for text in _needles(value)}
        if not texts:
            return None
        ordered = sorted(texts, key=lambda text: (-len(text), text))

        def redact(line: str) -> str:
            for text in ordered:
                if text in line:
                    line = line.replace(text, MASK)
            return line

        return redact

    def _kept(self, name: str) -> list[bytes] | None:
        """All values of the container; None when they are not here."""
        try:
            return msgspec.msgpack.decode((self._folder / name / VALUES).read_bytes(), type=list[bytes])
        except (OSError, msgspec.MsgspecError):
            return None

    def _values(self, job: Ensure) -> dict[str, bytes]:
        wanted = {one.version: one.name for one in job.spec.secrets}
        if not wanted:
            return {}
        if not job.sealed or self._key is None:
            raise _missing(wanted.values())
        try:
            values = msgspec.msgpack.decode(self._key.open_sealed(job.sealed), type=dict[str, bytes])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise SecretMissing("The secrets of this job are unreadable; it is sent again.") from error
        if lacking := [name for version, name in wanted.items() if version not in values]:
            raise _missing(lacking)
        if sum(map(len, values.values())) > MOST_BYTES:
            raise Refused(f"The secrets of a container are larger than {MOST_BYTES // 1024} KiB.")
        return values

    def _make(self, name: str) -> Path:
        """The container's own folder, in memory, for nobody but the agent and the engine."""
        if not in_memory(self._folder):
            raise NoVault(
                f"{self._folder} is not in memory (tmpfs), so this node takes no secrets. Set secrets_dir "
                "(BERTH_SECRETS_DIR) in its agent's configuration to a folder on a tmpfs that the engine sees too."
            )
        names.check_name(names.SLOT, name, "The container")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self._folder.lstat()
            if self._folder.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o077:
                raise NoVault(
                    f"{self._folder} is open to others than the agent, so this node takes no secrets."
                )
            folder = self._folder / name
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise NoVault(f"{self._folder} cannot be made or written: {error.strerror}.") from error
        return folder


def _files(spec: Spec, values: Mapping[str, bytes]) -> list[File]:
    files = [
        File(target=one.target, content=values[one.version], mode=one.mode, uid=one.uid, gid=one.gid)
        for one in spec.secrets
        if one.target
    ]
    # The engine takes no files into a read-only root.
    return [*files, *(spec.files if spec.read_only else ())]


def _write(path: Path, file: File) -> None:
    """Whole or not at all, and its owner's from the first byte. Raises `NoVault`."""
    temporary = path.with_name(f".{path.name}")
    try:
        temporary.unlink(missing_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as opened:
            opened.write(file.content)
            os.fchmod(handle, file.mode & 0o777)
            if (file.uid, file.gid) != (0, 0) or os.geteuid() == 0:
                os.fchown(handle, file.uid, file.gid)
        temporary.replace(path)
    except OSError as error:
        raise NoVault(
            f"A secret cannot be written on this node ({path.parent.parent}): {error.strerror}."
        ) from error


def _text(one: Secret, values: Mapping[str, bytes]) -> str:
    text = values[one.version].decode("utf-8", "replace")
    if "\0" in text:
        raise Refused(f"The secret {one.name} has a NUL character in it, which no variable can hold.")
    return text


def _needles(value: str) -> Iterable[str]:
    """What to look for in a line: the value, and each of its lines."""
    lines = {line.strip() for line in value.splitlines()}
    return (line for line in lines if len(line) >= LEAST_REDACTED)


def in_memory(folder: Path) -> bool:
    """Whether the folder, or the nearest one above it that is there, lies on a file system in memory."""
    path = folder.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    real, kind, longest = str(path.resolve()), "", -1
    for line in _MOUNTS.read_text().splitlines():
        before, _, after = line.partition(" - ")
        at = before.split()[4].encode().decode("unicode_escape")
        if (real == at or real.startswith(at.rstrip("/") + "/")) and len(at) >= longest:
            kind, longest = after.split()[0], len(at)
    return kind in _MEMORY


def usual_folder(node: str) -> Path:
    """Where the vault is when the configuration does not say: where the system keeps such, if that is in memory."""
    run = Path("/run/berth")
    if os.geteuid() == 0 and in_memory(run):
        return run / node
    # Anybody may make folders there; one that is not the agent's own is refused.
    return Path(f"/dev/shm/berth-{os.geteuid()}") / node  # noqa: S108  # nosec B108


def _missing(lacking: Collection[str]) -> SecretMissing:
    return SecretMissing(
        f"The value of the secret {', '.join(sorted(set(lacking)))} did not come with this job. The app's events say "
        "why; it is sent again."
    )
