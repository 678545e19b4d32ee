"""The root of all addresses."""

from __future__ import annotations

from django.urls import include, path

from console.api.prometheus.view import metrics
from console.api.views.health import healthz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("metrics", metrics, name="metrics"),
    path("api/v1/", include("console.api.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include("console.web.entryurls")),
    path("", include("console.web.urls")),
]

handler400 = "console.api.errors.bad_request"
handler403 = "console.api.errors.forbidden"
handler404 = "console.api.errors.not_found"
handler500 = "console.api.errors.server_error"
