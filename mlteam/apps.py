from django.apps import AppConfig


class MlteamConfig(AppConfig):
    name = "mlteam"

    def ready(self) -> None:
        # Whatever process this is, the tasks that it sends go to our broker.
        import mlteam.celery  # noqa: F401
