from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "access"

    def ready(self) -> None:
        from access.policies import Policies
        from access.sources import register

        register(Policies("project"))
        register(Policies("team"))
