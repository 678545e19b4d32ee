from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand

from console.controller.broker import BrokerUsers
from console.controller.lease import DatabaseLease
from console.controller.loop import Controller, run
from console.controller.pulse import Pulse
from console.controller.wire import RedisWire
from scheduler.garbage import look_seldom


class Command(BaseCommand):
    help = "Run the controller: leads when no other does, stands by otherwise."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()

        def end(_signal: int, _frame: FrameType | None) -> None:
            stop.set()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        look_seldom()
        holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        run(Controller(RedisWire(), DatabaseLease(holder)), BrokerUsers(), stop, Pulse(holder))
