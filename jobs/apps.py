from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        from jobs import receivers
        from jobs.work import JobsOfProjects
        from projects import work

        receivers.connect()
        work.register(JobsOfProjects())
