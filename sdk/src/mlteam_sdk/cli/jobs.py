"""`mlteam job …`: lists jobs, shows one, stops, copies and removes them."""

from collections.abc import Callable
from typing import Any, Final

import click

from mlteam_sdk.cli import completing
from mlteam_sdk.cli.command import YES, Trouble, command, group, session, sure
from mlteam_sdk.cli.listing import WHO, chooses_jobs, jobs, tagged
from mlteam_sdk.cli.output import Output, prints
from mlteam_sdk.cli.texts import note

COLUMNS: Final = ("id", "state", "name", "created", "command", "attempts.exit_code")

job = group(
    "job",
    "Submit jobs, watch them, stop them.",
    {
        "submit": ("mlteam_sdk.cli.submit:submit", "Submits a job: a job.yml, flags, a command."),
        "ls": ("mlteam_sdk.cli.jobs:ls", "Lists jobs: mine in the active project, newest first."),
        "get": ("mlteam_sdk.cli.jobs:get", "Prints a job, or fields of it."),
        "info": ("mlteam_sdk.cli.jobs:info", "Shows all about a job: where it ran, how it ended, its job.yml."),
        "logs": ("mlteam_sdk.cli.logs:logs", "Prints what a job wrote; -f goes on as it writes."),
        "kill": ("mlteam_sdk.cli.jobs:kill", "Stops jobs."),
        "store": ("mlteam_sdk.cli.jobs:store", "Stores a job's output again that could not be stored."),
        "clone": ("mlteam_sdk.cli.submit:clone", "Submits a job again, with what flags change."),
        "artifacts": ("mlteam_sdk.cli.artifacts:job_artifacts", "Lists the files that a job left, or fetches them."),
        "rm": ("mlteam_sdk.cli.jobs:rm", "Removes jobs that have ended, with their logs and files."),
    },
    aliases={"list": "ls", "log": "logs", "new": "submit", "stop": "kill"},
)


def one_job(function: Callable[..., Any]) -> Callable[..., Any]:
    """An argument JOB that may be left out with --last."""
    last = click.option("--last", is_flag=True, help="My newest job.")
    argument = click.argument("job", required=False, metavar="[JOB]", shell_complete=completing.jobs)
    return argument(last(function))


def chosen(job: str | None, last: bool, *, or_last: bool = False) -> dict[str, Any]:
    """The job that was named, or my newest. Raises UsageError where neither was said, unless `or_last`."""
    from mlteam_sdk.cli import names

    if job and last:
        raise click.UsageError("Give a job or --last, not both.")
    if not job and not last and not or_last:
        raise click.UsageError("Which job? Give its id or name, USER:NAME, or --last.")
    return names.job(session(), job) if job else names.last_job(session())


@command("ls")
@chooses_jobs
@click.option("--all", "everywhere", is_flag=True, help="In all projects that I may see, not only the active one.")
@prints("id", "state", "name", "created", "command", "attempts.exit_code")
def ls(out: Output, everywhere: bool, **choice: Any) -> None:
    """Lists jobs: mine in the active project, newest first.

    --global lists everyone's there and says whose they are, --user USER one person's; --all looks into every project that I may see.
    """
    said = session()
    found = jobs(said, **choice, project=None if everywhere else said.project_id)
    columns = list(COLUMNS)
    columns[3:3] = [WHO] * (choice["everyone"] or bool(choice["user"]))
    columns[3:3] = ["project.full_name"] * everywhere
    out.rows(found, columns)


@command("get")
@one_job
@prints(*COLUMNS)
def get(out: Output, job: str | None, last: bool) -> None:
    """Prints a job. `$(mlteam job get --field urn ID)` is its URN and nothing else.

    JOB is an id, a name (the newest of that name) or USER:NAME.
    """
    found = chosen(job, last)
    out.one(session().get(f"/jobs/{found['id']}"))


INFO: Final = (
    *(
        "id",
        "urn",
        "name",
        "state",
        "sentence",
        "project.full_name",
        "created_by.username",
        "created",
        "started",
        "ended",
    ),
    *("elapsed", "exit_status", "command", "resources", "bid", "restartable", "preemptable", "tags", "position"),
    *("waiting_for", "cost", "url"),
)
TRANSFERS: Final = (
    "direction",
    "state",
    "address",
    "path",
    "key",
    "files",
    "all_files",
    "bytes",
    "all_bytes",
    "rate",
    "left",
    "sentence",
)
ATTEMPTS: Final = ("index", "host", "placed", "ended", "exit_status", "sentence", "peak_memory_mib", "gpus")


@command("info")
@one_job
@prints(*INFO)
def info(out: Output, job: str | None, last: bool) -> None:
    """Shows all about a job: where it ran, how it ended, and the job.yml that makes it again."""
    found = session().get(f"/jobs/{chosen(job, last)['id']}")
    out.details(found)
    if out.is_for_people:
        if found.get("attempts"):
            click.echo("\nattempts")
            out.rows(found["attempts"], ATTEMPTS)
        if found.get("transfers"):
            click.echo("\ntransfers")
            out.rows(map(_in_words, found["transfers"]), TRANSFERS)
        if found.get("notices"):
            click.echo("\nnotices")
            out.text("\n".join(found["notices"]))
        if found.get("spec_yaml"):
            click.echo("\njob.yml")
            out.text(found["spec_yaml"])


def _in_words(transfer: dict[str, Any]) -> dict[str, Any]:
    """With how fast it is and how long it takes yet as one says it."""
    from mlteam_sdk.cli.meter import size, span

    rate, left = transfer.get("rate"), transfer.get("left")
    return {
        **transfer,
        "rate": None if rate is None else f"{size(rate)}/s",
        "left": None if left is None else span(left),
    }


def several(states: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Arguments JOB… and the options --tag and --last of a command that acts on many jobs."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        complete = completing.active_jobs if states == "active" else completing.jobs
        for option in (
            click.option("--last", is_flag=True, help="My newest job."),
            click.option("--tag", "tags", multiple=True, metavar="TAG", help=f"All my {states} jobs with this tag."),
            click.argument("jobs", nargs=-1, metavar="[JOB]...", shell_complete=complete),
        ):
            function = option(function)
        return function

    return decorate


def _meant(words: tuple[str, ...], tags: tuple[str, ...], last: bool, states: str) -> list[dict[str, Any]]:
    """All jobs that were named one way or another; nothing is done before all are found."""
    from mlteam_sdk.cli import names

    said = session()
    if not words and not tags and not last:
        raise click.UsageError("Which jobs? Give ids or names, --tag TAG or --last.")
    found = [names.job(said, word, strictly=True, states=states) for word in words]
    found += [names.last_job(said)] if last else []
    if tags:
        place = {"project": said.project_id} if said.project_named else {}
        mine = tagged(said, tags, mine=True, **place)
        found += [thing for thing in mine if (thing["state"] in names.ENDED) == (states == "ended")]
    return list({thing["id"]: thing for thing in found}.values())


def _each(found: list[dict[str, Any]], act: Any) -> None:
    """Does something to each; one that fails is said and does not keep the others from it."""
    failed = 0
    for thing in found:
        try:
            act(thing)
        except Trouble as trouble:
            trouble.show()
            failed += 1
    if failed:
        raise click.exceptions.Exit(1)


@command("kill")
@several("active")
@prints("id", "state", "name")
def kill(out: Output, jobs: tuple[str, ...], tags: tuple[str, ...], last: bool) -> None:
    """Stops jobs: SIGTERM first, SIGKILL to what has not ended after a while.

    With --tag all my jobs that have not ended and bear that tag, in all projects unless --project names one. Several jobs of one name are
    not stopped by that name: it lists them.
    """
    from mlteam_sdk.cli.refusals import about

    found, stopped = _meant(jobs, tags, last, "active"), []

    def stop(thing: dict[str, Any]) -> None:
        with about(thing):
            stopped.append(session().post(f"/jobs/{thing['id']}/stop") or thing)

    try:
        _each(found, stop)
    finally:
        if stopped:
            out.rows(stopped)
    if not found:
        note("No such job is running or waiting.")


@command("store")
@one_job
@prints("id", "state", "name")
def store(out: Output, job: str | None, last: bool) -> None:
    """Stores a job's output again that could not be stored. The job, which failed only for that, then succeeds.

    What has been stored is not sent twice; `mlteam job info JOB` says how far it is.
    """
    from mlteam_sdk.cli.refusals import about

    found = chosen(job, last)
    with about(found):
        out.rows([session().post(f"/jobs/{found['id']}/store")])


@command("rm")
@several("ended")
@YES
def rm(jobs: tuple[str, ...], tags: tuple[str, ...], last: bool, yes: bool) -> None:
    """Removes jobs that have ended, with their logs and files. That cannot be undone."""
    from mlteam_sdk.cli.names import candidate
    from mlteam_sdk.cli.refusals import about

    found = _meant(jobs, tags, last, "ended")
    for thing in found:
        note(candidate(thing))
    if found:
        word = found[0]["name"] if len(found) == 1 else str(len(found))
        sure(
            f"This removes {'the job' if len(found) == 1 else f'{len(found)} jobs'} above, with logs and files.",
            word,
            yes=yes,
        )

    def remove(thing: dict[str, Any]) -> None:
        with about(thing):
            session().delete(f"/jobs/{thing['id']}")

    _each(found, remove)
