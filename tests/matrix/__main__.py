"""`make matrix`: the isolation matrix, asked anew of the console in this process, as a table in Markdown.

Each cell is what the principal is told of the own team, and behind the stroke of another one; a wrong one is marked
and said in words below. Ends with 1 if there is one, if a route has no row, or if missing and forbidden differ.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from tests.matrix.console import console

if TYPE_CHECKING:
    from tests.matrix.walk import Cell


def main() -> int:
    with console():
        return _walk()


def _walk() -> int:
    from django.db import transaction

    from tests.matrix.alike import differences, of_another_app, references
    from tests.matrix.routes import http_routes, socket_routes
    from tests.matrix.sockets import SOCKETS, socket_cells
    from tests.matrix.walk import cells_of, other_methods, without_a_row
    from tests.matrix.world import World

    routes, cells, wrong = http_routes(), [], without_a_row()
    with transaction.atomic():
        world = World()
        for route in routes:
            cells += list(cells_of(world, route))
            wrong += [*other_methods(world, route), *differences(world, route), *of_another_app(world, route)]
        wrong += references(world)
        transaction.set_rollback(True)
    world = World()
    for path in socket_routes():
        if path in SOCKETS:
            cells += asyncio.run(socket_cells(world, path))
        else:
            wrong.append(f"WebSocket {path} has no row")
    wrong += [str(cell) for cell in cells if cell.wrong]
    print("\n".join(_table(cells)))
    print(f"\n{len(routes)} routes and {len(SOCKETS)} WebSockets, {len(cells)} cells, {len(wrong)} wrong.")
    print("\n".join(wrong))
    return 1 if wrong else 0


def _table(cells: Iterable[Cell]) -> Iterator[str]:
    from tests.matrix.world import Who

    yield f"| | asks for | {' | '.join(Who)} |"
    yield f"| --- | --- |{' --- |' * len(Who)}"
    for (row, right), found in groupby(cells, key=lambda cell: (cell.row, cell.right)):
        told = {(cell.who, cell.own): cell.found + ("!" if cell.wrong else "") for cell in found}
        columns = (" / ".join(told[who, own] for own in (True, False) if (who, own) in told) for who in Who)
        yield f"| {row} | {right} | {' | '.join(columns)} |"


if __name__ == "__main__":
    sys.exit(main())
