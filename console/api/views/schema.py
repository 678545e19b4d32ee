"""The API's own description."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.utils.translation import get_language
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework.request import Request

from console.api.conditions import etag, is_known

_DOCUMENTS: dict[str, bytes] = {}
"""By language, of which there are as many as the console speaks."""


class SchemaView(SpectacularJSONAPIView):
    """Anybody may ask, and it takes some tenths of a second to make: so it is made once in each process."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *_args: Any, **_names: Any) -> HttpResponse:
        language = get_language() or ""
        if language not in _DOCUMENTS:
            document = self.generator_class().get_schema(public=True)  # type: ignore[no-untyped-call]
            _DOCUMENTS[language] = OpenApiJsonRenderer().render(document)
        content = _DOCUMENTS[language]
        tag = etag(content)
        if is_known(request.headers.get("If-None-Match", ""), tag):
            response = HttpResponse(status=304)
            del response.headers["Content-Type"]
        else:
            response = HttpResponse(content, content_type=OpenApiJsonRenderer.media_type)
        response.headers["ETag"] = tag
        return response
