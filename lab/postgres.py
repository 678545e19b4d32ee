"""A private PostgreSQL cluster from the system's programs.

`python -m lab.postgres COMMAND…` runs a command with DATABASE_URL naming one, and removes it afterwards.
"""

from __future__ import annotations

import os
import pwd
import secrets
import signal
import subprocess
import sys
from pathlib import Path

from lab.processes import RECORD_SUFFIX, Process, wait_until
from lab.redis_server import MissingProgramError, free_port
from lab.state import Run

USER = "berth"


def programs() -> Path:
    """The newest installed version's folder of programs. Raises `MissingProgramError`."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        raise MissingProgramError("PostgreSQL: apt-get install postgresql")
    return found[-1]


def system_user() -> str | None:
    """PostgreSQL refuses to run as root: Debian's own user for it, or None when this is not root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise MissingProgramError("the system user postgres: apt-get install postgresql") from None


class PostgresServer:
    """One cluster on a loopback port. `url` is its superuser's, for a database named `berth`."""

    def __init__(self, run: Run, *, name: str = "postgres") -> None:
        self._programs, self._user = programs(), system_user()
        self._directory = run.subdirectory(name, mode=0o755)
        self._data = self._directory / "data"
        self._password = secrets.token_urlsafe(18)
        self.port = free_port()
        self.url = f"postgres://{USER}:{self._password}@127.0.0.1:{self.port}/{USER}"
        argv = [str(self._programs / "postgres"), "-D", str(self._data), "-k", str(self._directory)]
        argv += ["-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]
        # It outlives a kill, as the tests want; it need not outlive a power cut.
        argv += ["-c", "fsync=off", "-c", "full_page_writes=off"]
        self.process = Process(
            run.directory / f"{name}{RECORD_SUFFIX}",
            argv,
            log=run.directory / f"{name}.log",
            cwd=Path("/"),
            user=self._user,
            end_with=signal.SIGINT,  # "fast": it ends the sessions and frees its shared memory
        )

    def start(self) -> None:
        fresh = not self._data.exists()
        if fresh:
            self._create()
        self.process.start()
        if not wait_until(self._answers, 20.0):
            raise RuntimeError(f"PostgreSQL did not come up:\n{self.process.tail()}")
        if fresh:
            self._create_database(USER)

    def new_database(self) -> str:
        """An empty database beside the first one; its URL."""
        name = f"{USER}_{secrets.token_hex(4)}"
        self._create_database(name)
        return f"{self.url.rpartition('/')[0]}/{name}"

    def stop(self) -> None:
        self.process.stop(20.0)

    def kill(self) -> None:
        self.process.kill()

    def _create(self) -> None:
        secret = self._directory / "password"
        secret.write_text(self._password)
        if self._user:
            os.chown(self._directory, pwd.getpwnam(self._user).pw_uid, -1)
            os.chown(secret, pwd.getpwnam(self._user).pw_uid, -1)
        secret.chmod(0o600)
        self._run(
            "initdb",
            "-D",
            str(self._data),
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            f"--pwfile={secret}",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )
        secret.unlink()

    def _create_database(self, name: str) -> None:
        env = {"PGPASSWORD": self._password, "PATH": os.environ["PATH"]}
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, name, env=env)

    def _answers(self) -> bool:
        program = str(self._programs / "pg_isready")
        argv = [program, "-q", "-h", "127.0.0.1", "-p", str(self.port), "-d", "postgres"]
        return subprocess.run(argv, check=False).returncode == 0

    def _run(self, program: str, *argv: str, env: dict[str, str] | None = None) -> None:
        done = subprocess.run(
            [str(self._programs / program), *argv],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=env,
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.strip()}")


def main(command: list[str]) -> int:
    with Run.create() as run:
        server = PostgresServer(run)
        server.start()
        try:
            return subprocess.run(
                command, env={**os.environ, "DATABASE_URL": server.url}, check=False
            ).returncode
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
