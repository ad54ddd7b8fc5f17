from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "access"

    def ready(self) -> None:
        from access import closing
        from access.policies import Policies
        from access.sources import register
        from accounts.signals import account_closing

        register(Policies("project"))
        register(Policies("team"))
        account_closing.connect(closing.close, dispatch_uid="access.closing")
