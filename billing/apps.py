from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from billing import receivers
        from projects import trail

        receivers.connect()
        trail.say({"budget:set": "Set a budget", "budget:rm": "Removed a budget"})
