from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth.signals import user_logged_out
from django.db.models.signals import post_save


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import receivers

        user_logged_out.connect(receivers.signed_out, dispatch_uid="accounts.signed_out")
        post_save.connect(receivers.saved, settings.AUTH_USER_MODEL, dispatch_uid="accounts.saved")
