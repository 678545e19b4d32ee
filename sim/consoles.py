"""The controllers' processes: what console.controller.loop.run does around a step, as events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis
from django.db import DatabaseError

from console.controller.lease import DatabaseLease, LeaseLost
from console.controller.loop import IDLE, Controller
from sim.clock import Event
from sim.faults import Crashed
from sim.redis import SimWire, Stall

if TYPE_CHECKING:
    from sim.world import World

AT_ONCE = (0.2, 0.6, 1.2)
"""Most seconds from a report to the step that takes it in; one of these in each run: consoles are not all quick."""
TIMER = (IDLE, 2.0, 3.0)
"""Seconds from a step to the next when nothing calls for one. Below what makes the console distrust itself."""
STANDBY = 3.0
"""Seconds between two tries of a standby; the real one asks each second."""


class Process:
    """One controller, led by its lease. A crash loses all that is not in the database."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self.name = name
        self._lives = 0
        self._next: Event | None = None
        self.stall = Stall(world)
        self._busy = False
        self.leading = False
        self._begin()

    def _begin(self) -> None:
        self._lives += 1
        self._controller = Controller(
            SimWire(self._world, self.stall), DatabaseLease(f"{self.name}-{self._lives}")
        )
        self.leading = False

    def schedule(self, delay: float) -> None:
        """The next turn, no later than `delay` from now."""
        at = self._world.clock.now + delay
        if self._next is not None and self._next.act is not None:
            if self._next.time <= at:
                return
            self._next.cancel()
        self._next = self._world.clock.at(delay, self._turn)

    def hold(self, seconds: float) -> None:
        """The process is stopped: no turn before it goes on."""
        if self._next is not None:
            self._next.cancel()
        self._next = None
        self._busy = True
        self._world.clock.at(seconds, self._go_on)

    def _go_on(self) -> None:
        self._busy = False
        self.schedule(0.0)

    def wake(self) -> None:
        if not self._busy and self.leading:
            self.schedule(self._world.random.random() * self._world.consoles.at_once)

    def crash(self) -> None:
        self._world.note(f"controller {self.name} crashes")
        self._begin()
        self.hold(0.5 + self._world.random.random() * 9)

    def _turn(self) -> None:
        self._next = None
        if self._busy:
            return
        self._busy = True
        try:
            with self._world.points.watching():
                pause = self._iterate()
        except Crashed:
            self._world.points.disarm()
            self.crash()
            return
        self._busy = False
        self._world.checks.look()
        self.schedule(pause)

    def _iterate(self) -> float:
        """One turn of the loop, and the seconds to the next."""
        world = self._world
        try:
            if not self.leading:
                self.leading = self._controller.lease.acquire()
                if not self.leading:
                    return STANDBY
                world.note(f"controller {self.name} leads")
                self._controller.rebuild()
            more = self._controller.step(world.clock.datetime())
        except LeaseLost:
            world.note(f"controller {self.name} no longer leads")
            self.leading = False
            return 0.1
        except (DatabaseError, redis.RedisError) as error:
            world.note(f"controller {self.name}: the step failed: {error}")
            self._controller.rebuild()
            return 1.0
        return 0.0 if more else world.consoles.timer


class Consoles:
    def __init__(self, world: World) -> None:
        self.at_once = world.random.choice(AT_ONCE)
        self.timer = world.random.choice(TIMER)
        self.processes = [Process(world, "one"), Process(world, "two")]

    def start(self) -> None:
        for number, process in enumerate(self.processes):
            process.schedule(0.1 + number)

    def calm_down(self) -> None:
        """Nothing is to be found any more by looking often."""
        self.timer = max(TIMER)

    def wake(self) -> None:
        for process in self.processes:
            process.wake()

    @property
    def leader(self) -> Process | None:
        return next((process for process in self.processes if process.leading), None)
