from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate, post_save


class ProjectsConfig(AppConfig):
    name = "projects"

    def ready(self) -> None:
        import access
        from access.signals import may_hold_less, rules_changed
        from accounts import invitations, invited
        from accounts.signals import account_closing, account_closing_asked
        from projects import closing, delivery, keeping, receivers
        from projects.models import Invitation
        from projects.rules import Membership, Ownership
        from teams.signals import team_removing, users_joined, users_left

        access.register(Membership())
        access.register(Ownership())
        access.register_finder("project", receivers.find_project)
        access.register_finder("key", receivers.find_key)
        invited.register(receivers.find_invited)
        post_save.connect(receivers.account_saved, settings.AUTH_USER_MODEL, dispatch_uid="projects.personal")
        users_joined.connect(receivers.users_joined, dispatch_uid="projects.users_joined")
        users_left.connect(receivers.users_left, dispatch_uid="projects.users_left")
        team_removing.connect(receivers.team_removing, dispatch_uid="projects.team_removing")
        rules_changed.connect(receivers.rules_changed, dispatch_uid="projects.rules_changed")
        may_hold_less.connect(receivers.may_hold_less, dispatch_uid="projects.may_hold_less")
        post_migrate.connect(keeping.put_up, sender=self, dispatch_uid="projects.keeping")
        invitations.register(delivery.KIND, Invitation, receivers.is_member)
        account_closing_asked.connect(closing.objections, dispatch_uid="projects.closing_asked")
        account_closing.connect(closing.close, dispatch_uid="projects.closing")
