"""What may be read by everybody: the meaning of the API's errors."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console.common.codes import MEANINGS


@require_safe
def errors(request: HttpRequest) -> HttpResponse:
    return render(request, "web/errors.html", {"meanings": MEANINGS})
