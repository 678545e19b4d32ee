"""`make lab N=3`: a cluster on this machine, in the foreground until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType

from lab import requirements
from lab.lab import Lab
from lab.state import Run


def interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    parser.add_argument("--nodes", type=int, default=3, help="how many engines (3)")
    parser.add_argument("--cpu", type=int, default=2000, help="thousandths of a core that each offers (2000)")
    parser.add_argument("--memory", type=int, default=4096, help="MiB that each offers (4096)")
    options = parser.parse_args()
    if missing := requirements.engine() or requirements.redis():
        print(f"lab: {missing}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        with Run.create() as run:
            print(f"lab: starting {options.nodes} engines, their files are in {run.directory}", flush=True)
            lab = Lab(run, nodes=options.nodes, cpu=options.cpu, memory=options.memory * 1024**2)
            lab.start()
            describe(lab)
            signal.pause()
    except KeyboardInterrupt:
        print("lab: removed", flush=True)
    return 0


def describe(lab: Lab) -> None:
    for node in lab.hosts:
        print(f"lab: {node.name} at {node.host.address}: docker -H {node.engine.docker_host} ps")
    print(f"lab: console at {lab.console.url}, API token in {lab.console.home}/owner-token")
    print(f"lab: sign in (once): {lab.new_sign_in_link()}")
    print("lab: stop: Ctrl-C", flush=True)


if __name__ == "__main__":
    sys.exit(main())
