from django.apps import AppConfig


class TeamsConfig(AppConfig):
    name = "teams"

    def ready(self) -> None:
        import access
        from teams import querysets
        from teams.rules import TeamRoles

        access.register(TeamRoles())
        access.register_finder("team", querysets.find)
