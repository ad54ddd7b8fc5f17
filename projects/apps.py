from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    name = "projects"

    def ready(self) -> None:
        import access
        from projects.rules import Membership, Ownership

        access.register(Ownership())
        access.register(Membership())
