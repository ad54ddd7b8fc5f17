from django.apps import AppConfig


class TeamsConfig(AppConfig):
    name = "teams"

    def ready(self) -> None:
        import access
        from accounts.signals import account_closing, account_closing_asked
        from teams import closing, querysets
        from teams.rules import TeamRoles

        access.register(TeamRoles())
        access.register_finder("team", querysets.find)
        account_closing_asked.connect(closing.objections, dispatch_uid="teams.closing_asked")
        account_closing.connect(closing.close, dispatch_uid="teams.closing")
