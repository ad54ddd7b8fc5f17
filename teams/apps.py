from django.apps import AppConfig


class TeamsConfig(AppConfig):
    name = "teams"

    def ready(self) -> None:
        import access
        from accounts import invitations, invited
        from accounts.signals import account_closing, account_closing_asked
        from teams import closing, emails, joining, querysets, receivers
        from teams.models import TeamInvitation
        from teams.rules import TeamRoles

        access.register(TeamRoles())
        access.register_finder("team", querysets.find)
        invited.register(receivers.find_invited)
        invitations.register(emails.INVITATION, TeamInvitation, joining.is_in_a_team)
        account_closing_asked.connect(closing.objections, dispatch_uid="teams.closing_asked")
        account_closing.connect(closing.close, dispatch_uid="teams.closing")
