"""`make run`: everything on this machine, in the foreground, until Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from lab import redis_server
from lab.engine import Engine
from lab.manage import ManageError, manage
from lab.processes import RECORD_SUFFIX, Process, wait_until
from ops import engines, prepare, supervisor
from ops.echo import Tail
from ops.home import ROOT, Home, RunError, environ


def say(text: str) -> None:
    print(f"berth: {text}", flush=True)


@contextmanager
def alone(home: Home) -> Iterator[None]:
    """One `make run` for each BERTH_HOME. The lock ends with the process, however that ends."""
    with (home.path / "run.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"Berth already runs from {home.path}, at {home.url}") from None
        yield


def stop_on_signals() -> None:
    """Ctrl-C, `kill` and a closed terminal all stop everything in order."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


class Station:
    """The supervisor and what it runs. `up()` returns when a browser can be opened."""

    def __init__(self, home: Home, env: dict[str, str], *, with_redis: bool) -> None:
        self.home, self.env, self.with_redis = home, env, with_redis
        self.programs = supervisor.programs(home, with_redis=with_redis)
        config = home.path / "supervisord.conf"
        self.process = Process(
            home.path / f"supervisord{RECORD_SUFFIX}",
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
            log=home.path / "log" / "supervisord.out",
            env=env,
            cwd=ROOT,
        )
        self.client = supervisor.Client(home)

    def up(self) -> str:
        """Starts everything; the one-time sign-in link."""
        supervisor.write_config(self.home, self.programs)
        if self.with_redis:
            self.home.redis_config(self.env)
        self.process.start()
        if not wait_until(self.client.answers, 15.0):
            raise RunError(f"the supervisor did not come up:\n{self.process.tail()}")
        if self.with_redis:
            self.client.start("redis")
        if not wait_until(lambda: redis_server.answers(self.env["REDIS_URL"]), 15.0):
            raise RunError(self._no_redis())
        say("bringing the database up to date")
        try:
            answer = json.loads(
                manage(
                    self.env, ["migrate", "--no-input", "--verbosity", "0"], ["bootstrap", "--local-links"]
                )
            )
        except ManageError as error:
            raise RunError(f"the database could not be brought up to date:\n{error}") from error
        names = self._after_redis()
        say(f"starting {', '.join(names)}")
        for name in names:
            self.client.start(name)
        return str(answer["url"])

    def _no_redis(self) -> str:
        if not self.with_redis:
            return "no Redis answers at REDIS_URL: check its address, user and password"
        return f"redis-server did not come up: see {self.home.path}/log/redis.log\n{self.process.tail()}"

    def _after_redis(self) -> list[str]:
        return [program.name for program in self.programs if program.name != "redis"]

    def down(self) -> None:
        """Ends everything, Redis last. What a killed run left behind ends as well."""
        if self.client.answers():
            self.client.stop(self._after_redis(), 20.0)
        self.process.stop(timeout=20.0)


def await_ready(home: Home, station: Station, watch: Callable[[], None]) -> None:
    """Waits for the web server, then for the node. The latter may come later: that is only said."""
    for what, ready in (("the web server", prepare.web_answers), ("this node", prepare.node_is_ready)):
        deadline = time.monotonic() + 40.0
        while not ready(home):
            if not station.process.alive:
                raise RunError(f"the supervisor ended:\n{station.process.tail()}")
            if time.monotonic() > deadline:
                say(f"{what} is not ready yet; the logs are in {home.path}/log")
                break
            watch()
            time.sleep(0.25)


def watch_over(station: Station, engine: Engine | None, watch: Callable[[], None]) -> None:
    """Until a signal comes: echoes errors, and starts the own engine again should it have died."""
    while station.process.alive:
        watch()
        if engine and not engine.process.alive:
            say("the engine ended; starting it again (containers run on)")
            engine.start()
        time.sleep(0.5)
    raise RunError(f"the supervisor ended:\n{station.process.tail()}")


def serve(home: Home, given: dict[str, str]) -> None:
    """The whole of `make run` between the lock and the last word."""
    with_redis = "REDIS_URL" not in given
    if with_redis and shutil.which("redis-server") is None:
        raise RunError("redis-server is not installed: apt-get install redis-server, or set REDIS_URL")
    leftover = Station(home, given, with_redis=with_redis)
    leftover.down()  # of a run that was killed
    home.check_ports()
    docker_host, engine = engines.choose(home, given)
    say(
        f"engine: {docker_host}"
        + (" (its own, with its containers it outlives this command)" if engine else "")
    )
    prepare.load_demo_image(home, docker_host, given)
    prepare.compile_translations()
    station = Station(home, home.environment(given, docker_host), with_redis=with_redis)
    tails: list[Tail] = [Tail(home.path / "log" / f"{p.name}.log") for p in station.programs]
    tails.append(Tail(home.path / "log" / "supervisord.log"))

    def watch() -> None:
        for tail in tails:
            for line in tail.trouble():
                print(line, flush=True)

    try:
        link = station.up()
        await_ready(home, station, watch)
        say(f"Berth runs at {home.url}")
        say(f"sign in (once): {link}")
        if home.join:
            say(f"further hosts join over TLS at https://{home.join}:{home.link_port}: see its nodes page")
        say(f"API token: {home.path}/owner-token    logs: {home.path}/log    stop: Ctrl-C")
        watch_over(station, engine, watch)
    finally:
        say("stopping; containers go on running")
        station.down()


def main() -> int:
    stop_on_signals()
    try:
        given = environ()
        home = Home.open(given)
        with alone(home):
            serve(home, given)
    except KeyboardInterrupt:
        say("stopped")
    except RunError as error:
        print(f"berth: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
