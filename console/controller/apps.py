from django.apps import AppConfig


class ControllerConfig(AppConfig):
    name = "console.controller"
    label = "controller"
