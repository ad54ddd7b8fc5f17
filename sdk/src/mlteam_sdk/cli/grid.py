"""Grid's forms: `mlteam status`, `mlteam session`, `mlteam datastore`; `artifacts`, `logs` and `team` are elsewhere."""

from typing import Any, Final

import click

from mlteam_sdk.cli import completing
from mlteam_sdk.cli.command import command, session
from mlteam_sdk.cli.listing import WHO, chooses_jobs, jobs
from mlteam_sdk.cli.output import Output, prints
from mlteam_sdk.cli.texts import note

STATUS: Final = ("id", "name", "project.full_name", "state", "created", "elapsed")


@command("status")
@click.argument("job", required=False, metavar="[JOB]", shell_complete=completing.jobs)
@chooses_jobs
@prints(*STATUS)
def status(out: Output, job: str | None, **choice: Any) -> None:
    """Shows my jobs in all projects, or with --project in one; --global everyone's that I may see, with who created them.

    With JOB (an id, a name or USER:NAME) that job and where it stands.
    """
    from mlteam_sdk.cli import names

    said = session()
    if job:
        out.details(said.get(f"/jobs/{names.job(said, job)['id']}"), (*STATUS, "sentence", "waiting_for"))
        return
    with_who = choice["everyone"] or bool(choice["user"])
    columns = (*STATUS[:2], WHO, *STATUS[2:]) if with_who else STATUS
    out.rows(
        jobs(said, **choice, project=said.project_id if said.project_named else None),
        columns,
        titles={WHO: "Created By"},
    )


@command("session")
@click.argument("person", required=False, metavar="[USER]", shell_complete=completing.users)
@click.option("--user", metavar="USER", help="Sessions of this person.", shell_complete=completing.users)
@click.option("--global", "everyone", is_flag=True, help="Everyone's sessions, with who made them; or those of USER.")
@prints("id", "name", "state", "created")
def sessions(out: Output, person: str | None, user: str | None, everyone: bool) -> None:
    """Lists my sessions; `mlteam session --global` everyone's, `mlteam session --global USER` those of one person.

    A session is a job that is worked in. This server makes none yet, so that the list is empty; `mlteam status` lists jobs.
    """
    from mlteam_sdk.cli import names

    said = session()
    whose = names.user(said, person or user or "me")
    columns = ("id", "name", WHO, "state", "created") if everyone or whose["id"] != said.me["id"] else ()
    out.rows([], columns, titles={WHO: "Created By"})
    note("There are no sessions. `mlteam status` lists jobs.")


@command("datastore")
@click.option("--global", "everyone", is_flag=True, help="Everyone's that I may see, with who made them.")
@click.option("--user", metavar="USER", help="Those of this person.", shell_complete=completing.users)
@click.option("--limit", "-n", type=click.IntRange(min=1), default=100, show_default=True, help="At most that many.")
@prints("id", "name", "project.full_name", "kind", "latest.bytes", "created")
def datastore(out: Output, everyone: bool, user: str | None, limit: int) -> None:
    """Lists my datasets, models and volumes in all projects, or with --project in one; --global everyone's. `mlteam data` does more."""
    from mlteam_sdk.cli.data import TITLES, chosen

    said = session()
    project = said.project_id if said.project_named else None
    columns = list(out.columns)
    columns[2:2] = [WHO] * (everyone or bool(user))
    out.rows(chosen(kind=None, everyone=everyone, user=user, limit=limit, project=project), columns, titles=TITLES)
