from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "console.api"
    label = "api"

    def ready(self) -> None:
        from console.api import openapi  # noqa: F401, PLC0415  (registers its extension; needs the settings)
