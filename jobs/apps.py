from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        import access
        from jobs import receivers
        from jobs.work import JobsOfProjects
        from projects import trail, work

        access.register_finder("job", receivers.find_job)
        receivers.connect()
        work.register(JobsOfProjects())
        trail.say(
            {
                "job:new": "Submitted a job",
                "job:stop": "Stopped a job",
                "job:rm": "Removed a job",
                "job:store": "Had a job's output stored again",
            }
        )
