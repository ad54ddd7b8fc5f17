from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from projects import trail

        trail.say({"budget:set": "Set a budget", "budget:rm": "Removed a budget"})
