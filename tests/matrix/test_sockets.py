"""The matrix of the WebSockets, whose rows are read in other threads."""

from __future__ import annotations

import pytest

from tests.matrix.sockets import SOCKETS, socket_cells
from tests.matrix.world import World

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True), pytest.mark.thorough]


@pytest.fixture
def committed_world(console: None, transactional_db: None) -> World:
    return World()


@pytest.mark.parametrize("path", sorted(SOCKETS))
async def test_no_cell_is_wrong(committed_world: World, path: str) -> None:
    wrong = [str(cell) for cell in await socket_cells(committed_world, path) if cell.wrong]
    assert not wrong, "\n".join(wrong)
