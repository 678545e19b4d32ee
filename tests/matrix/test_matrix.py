"""`make matrix` prints it; here each cell is held against what the row's right says."""

from __future__ import annotations

import pytest

from tests.matrix.alike import differences, of_another_app, references
from tests.matrix.routes import Route, http_routes, socket_routes
from tests.matrix.sockets import SOCKETS
from tests.matrix.walk import cells_of, other_methods, rows_of_nothing, without_a_row
from tests.matrix.world import World

pytestmark = [pytest.mark.redis, pytest.mark.thorough]

ROUTES = http_routes()
every_route = pytest.mark.parametrize("route", ROUTES, ids=[route.name for route in ROUTES])


def test_every_route_has_a_row() -> None:
    assert without_a_row() == []
    assert rows_of_nothing() == []
    assert socket_routes() == sorted(SOCKETS)


@pytest.mark.django_db
@every_route
def test_no_cell_is_wrong(world: World, route: Route) -> None:
    wrong = [str(cell) for cell in cells_of(world, route) if cell.wrong] + other_methods(world, route)
    assert not wrong, "\n".join(wrong)


@pytest.mark.django_db
@every_route
def test_missing_and_forbidden_look_alike(world: World, route: Route) -> None:
    found = [*differences(world, route), *of_another_app(world, route)]
    assert not found, "\n".join(found)


@pytest.mark.django_db
def test_references_to_anothers_look_as_those_to_nothing(world: World) -> None:
    assert list(references(world)) == []
