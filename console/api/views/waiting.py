"""Waiting for the end of an operation.

The wait is in the body, not in the view: some middleware is synchronous, and a view that waits would hold
a thread in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from django.http import HttpRequest
from django.http.response import HttpResponseBase, StreamingHttpResponse
from rest_framework.renderers import JSONRenderer

from console.accounts.access import Access
from console.api.asynchronous import read, team_stream
from console.api.inputs import checked
from console.api.inputs.history import WaitQuery
from console.api.outputs.history import OperationOutput
from console.workloads.access import find_operation
from console.workloads.enums import OperationState
from console.workloads.models import Operation

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0


@team_stream
async def wait(request: HttpRequest, access: Access, operation: str) -> HttpResponseBase:
    """The operation once it has ended (or is in the state asked for), or as it is when the time is up."""
    query = checked(WaitQuery, request.GET.dict())
    found = await read(find_operation, access, operation)
    response = StreamingHttpResponse(
        _ended(access, found, query["timeout"], query.get("state", "")), content_type="application/json"
    )
    response.headers["Cache-Control"] = "no-store"
    return response


async def _ended(access: Access, operation: Operation, timeout: float, state: str) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop().time
    end, pause = clock() + timeout, FIRST_PAUSE
    while operation.state == OperationState.RUNNING != state and (left := end - clock()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)
        operation = await read(find_operation, access, operation.pk)
    yield JSONRenderer().render(OperationOutput(operation).data)
