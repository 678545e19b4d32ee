"""Many seeds on a few processes, or one again with all its events."""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from sim.database import Database, prepare

CORPUS = Path(__file__).with_name("corpus.txt")
LAST = 40
"""Events shown before a failure."""

_database: Database | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    seed: int
    failure: str
    """What does not hold; empty when all does."""
    events: tuple[str, ...]
    seconds: float
    """Of the processor."""


def corpus() -> list[int]:
    lines = (line.partition("#")[0].split() for line in CORPUS.read_text().splitlines())
    return [int(words[0]) for words in lines if words]


def run_seed(seed: int, keep: int | None = LAST) -> Outcome:
    """Changes the whole process (time, ids, the database): never where anything else runs."""
    global _database  # noqa: PLW0603
    if _database is None:
        prepare()
        _database = Database()
        # What is loaded stays; looking through it again and again would take a tenth of the time.
        gc.freeze()
        gc.set_threshold(100_000, 20, 100)
    from sim.checks import Violation
    from sim.world import World

    began = time.process_time()
    _database.reset()
    world = World(seed, keep)
    failure = ""
    try:
        world.run()
    except Violation as violation:
        failure = str(violation)
    except Exception:  # noqa: BLE001 - whatever it is, this seed shows it
        failure = traceback.format_exc()
    return Outcome(seed, failure, tuple(world.trace), time.process_time() - began)


def replay(seed: int) -> int:
    outcome = run_seed(seed, keep=None)
    print("\n".join(outcome.events))
    print(f"seed {seed}: {outcome.failure or 'passed'}")
    return 1 if outcome.failure else 0


def run_seeds(seeds: Iterable[int], processes: int) -> int:
    """Ends at the first seed that fails, with 1."""
    wanted = list(seeds)
    began = shown = time.monotonic()
    worked = 0.0
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        for done, outcome in enumerate(pool.map(run_seed, wanted), start=1):
            worked += outcome.seconds
            if outcome.failure:
                _tell(outcome)
                pool.shutdown(cancel_futures=True)
                return 1
            if time.monotonic() - shown > 10:
                shown = time.monotonic()
                print(f"{done} of {len(wanted)} seeds, {_speed(done, shown - began, worked)}", flush=True)
    seconds = time.monotonic() - began
    print(f"{len(wanted)} seeds passed in {seconds:.0f} s, {_speed(len(wanted), seconds, worked)}")
    return 0


def _speed(seeds: int, seconds: float, worked: float) -> str:
    each, alone = seeds / max(seconds, 1e-9) * 60, seeds / max(worked, 1e-9) * 60
    return f"{each:.0f} a minute ({alone:.0f} a minute of one core's time)"


def _tell(outcome: Outcome) -> None:
    print("\n".join(outcome.events))
    print(f"seed {outcome.seed}: {outcome.failure}")
    print(f"again, with every event: {sys.executable} -m sim --seed {outcome.seed} --trace", flush=True)
