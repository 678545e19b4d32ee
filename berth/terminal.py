"""A program in a running container: its terminal is this one, its exit code is ours."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
import websockets.exceptions
from websockets.sync.client import ClientConnection, connect

from berth import client as api
from berth.app import app, split
from berth.app import connect as connect_api
from berth.client import Client, Json
from berth.errors import CliError, Exit

PIECE = 32 * 1024
"""Bytes of input in one message at the most."""
STDERR = 2


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def exec(
    name: Annotated[str, typer.Argument(metavar="APP/SERVICE[.SLOT]", help="As in shop/web or shop/web.2.")],
    command: Annotated[list[str] | None, typer.Argument(help="A shell if it is left out.")] = None,
    interactive: Annotated[bool, typer.Option("--interactive", "-i", help="Pass standard input on.")] = False,
    tty: Annotated[bool, typer.Option("--tty", "-t", help="On a terminal.")] = False,
    user: Annotated[str, typer.Option("--user", "-u", help="User, or user:group.")] = "",
    workdir: Annotated[str, typer.Option("--workdir", "-w", help="Folder to begin in.")] = "",
) -> None:
    """Run a program in a container; its exit code is this command's. `berth exec -it shop/web -- sh`"""
    if tty and not sys.stdin.isatty():
        raise CliError("-t needs a terminal as standard input.", Exit.USAGE)
    columns, rows = shutil.get_terminal_size()
    body: Json = {"tty": tty, "width": columns, "height": rows}
    # Options of the program's own pass as they are, so the mark that ends ours is still there.
    words = command[1:] if command and command[0] == "--" else command
    body |= {"command": words} if words else {}
    body |= {"user": user} if user else {}
    body |= {"working_dir": workdir} if workdir else {}
    with connect_api() as client:
        container = find_container(client, name)
        given = client.post(f"/containers/{container}/exec", body)
        code = Session(client, given, tty=tty, interactive=interactive or tty).run()
    raise SystemExit(code)


def find_container(client: Client, name: str) -> str:
    """The id of a running container of APP/SERVICE[.SLOT]: the first slot's that has one."""
    app_name, place = split(name)
    service, _dot, slot = place.partition(".")
    if not service:
        raise CliError(f"Say which service of {app_name}: APP/SERVICE.", Exit.USAGE)
    found = client.get(f"/apps/{app_name}")["app"]["services"]
    slots = [one for each in found if each["name"] == service for one in each["slots"]]
    if not slots:
        raise CliError(f"{app_name} has no slot of a service named {service}.", Exit.NOT_FOUND)
    for one in slots:
        if slot in ("", str(one["index"])) and _runs(one):
            return str(one["container"]["id"])
    raise CliError(f"No container of {place} runs now.", Exit.CONFLICT)


def _runs(slot: Json) -> bool:
    return slot["container"] is not None and slot["container"]["observed"]["state"] == "running"


class Session:
    """One socket for one program. A thread sends what is typed; this one writes what comes."""

    def __init__(self, client: Client, given: Json, *, tty: bool, interactive: bool) -> None:
        self.login, self.given = client.login, given
        self.tty, self.interactive = tty, interactive
        self.room = threading.Semaphore(0)
        self.over = threading.Event()

    def run(self) -> int:
        """The program's exit code."""
        try:
            with self._socket() as socket, raw(self.tty):
                socket.send(json.dumps({"ticket": self.given["ticket"], "acks": True}))
                return self._serve(socket)
        except (OSError, websockets.exceptions.InvalidHandshake) as error:
            raise CliError(f"The terminal cannot be opened: {error}", Exit.UNREACHABLE) from error
        except websockets.exceptions.ConnectionClosed as error:
            raise CliError(f"The terminal was closed: {error.reason or 'the connection is gone'}") from error
        finally:
            self.over.set()

    def _socket(self) -> ClientConnection:
        # The address of the login, not the answer's: the way that is known to lead there.
        path = "/" + self.given["url"].split("/", 3)[3]
        url = self.login.url.replace("http", "ws", 1) + path
        return connect(url, ssl=api.tls(self.login) if url.startswith("wss") else None, max_size=None)

    def _serve(self, socket: ClientConnection) -> int:
        for message in socket:
            if isinstance(message, bytes):
                out = sys.stderr.buffer if message[0] == STDERR else sys.stdout.buffer
                out.write(message[1:])
                out.flush()
                socket.send('{"type": "ack", "frames": 1}')
                continue
            said = json.loads(message)
            if said["type"] == "exit":
                return int(said["code"] or 0)
            if said["type"] == "error":
                raise CliError(said["message"] or said["code"], Exit.FAILED)
            self._control(socket, said)
        raise CliError("The terminal was closed.", Exit.FAILED)

    def _control(self, socket: ClientConnection, said: Json) -> None:
        for _frame in range(int(said.get("window") or said.get("frames") or 0)):
            self.room.release()
        if said["type"] != "started":
            return
        if self.tty:
            signal.signal(signal.SIGWINCH, lambda *_about: resize(socket))
            resize(socket)
        threading.Thread(target=self._type, args=(socket,), daemon=True).start()

    def _type(self, socket: ClientConnection) -> None:
        """Standard input, as far as the program takes it; then its end."""
        try:
            while self.interactive and not self.over.is_set():
                if not select.select([sys.stdin], [], [], 0.5)[0]:
                    continue
                data = os.read(sys.stdin.fileno(), PIECE)
                if not data:
                    break
                self.room.acquire()
                socket.send(data)
            if not self.over.is_set():
                socket.send('{"type": "end"}')
        except (OSError, websockets.exceptions.ConnectionClosed):
            # The main thread hears of it as well, and says so.
            return


def resize(socket: ClientConnection) -> None:
    columns, rows = shutil.get_terminal_size()
    socket.send(json.dumps({"type": "resize", "width": columns, "height": rows}))


@contextmanager
def raw(wanted: bool) -> Iterator[None]:
    """This terminal passes every key on while the program has it, and is as it was afterwards."""
    if not wanted:
        yield
        return
    import termios  # noqa: PLC0415  (Windows has none, and no raw terminal either)
    import tty  # noqa: PLC0415

    before: list[Any] = termios.tcgetattr(sys.stdin)
    try:
        # Not flushed: what was typed ahead is the program's.
        tty.setraw(sys.stdin, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
