from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "access"

    def ready(self) -> None:
        from access import closing, installation
        from access.policies import Policies
        from access.sources import register
        from access.urns import register_finder
        from accounts.signals import account_closing

        register(Policies("project"))
        register(Policies("team"))
        register_finder(installation.KIND, installation.find)
        account_closing.connect(closing.close, dispatch_uid="access.closing")
