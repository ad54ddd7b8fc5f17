from django.apps import AppConfig


class DatastoresConfig(AppConfig):
    name = "datastores"

    def ready(self) -> None:
        import access
        from datastores import receivers
        from datastores.kinds import Kind
        from projects import trail

        for kind in Kind.values:
            access.register_finder(kind, receivers.finder(kind))
        receivers.connect()
        trail.say(receivers.WORDS)
