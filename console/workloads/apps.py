from django.apps import AppConfig


class WorkloadsConfig(AppConfig):
    name = "console.workloads"
    label = "workloads"
