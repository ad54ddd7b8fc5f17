"""`mlteam job submit` and `mlteam job clone`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from mlteam_sdk import errors
from mlteam_sdk.cli import completing, jobfile
from mlteam_sdk.cli.command import Command, command, session
from mlteam_sdk.cli.jobs import COLUMNS, chosen, one_job
from mlteam_sdk.cli.output import Output, prints
from mlteam_sdk.cli.refusals import trouble
from mlteam_sdk.cli.texts import note

# Flags of one value, and the key of the job file that each sets.
_PLAIN: Final = {
    "name": "name",
    "image": "image",
    "workdir": "workdir",
    "bid": "bid",
    "restartable": "restartable",
    "preemptable": "preemptable",
    "interactive": "interactive",
    "line_buffered": "lineBuffered",
    "max_run_time": "maxRunTime",
    "data": "data",
    "tags": "tags",
    "keys": "keys",
}
_RESOURCES: Final = {"cpu": "cpu", "mem": "mem", "gpu": "gpu", "gpu_model": "gpuModel", "nodes": "nodes"}


def spec_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that override the job file."""
    for option in reversed(_spec_options()):
        function = option(function)
    return function


def _spec_options() -> list[Callable[..., Any]]:
    return [
        click.option("--name", help="The job's name."),
        click.option("--image", "-i", help="A container image."),
        click.option(
            "--data",
            "-d",
            multiple=True,
            metavar="NAME|ID[@VERSION][/PART]:/PATH[:ro]",
            help="A dataset, model or volume that the job has at a path; PROJECT.NAME is another project's. Repeatable.",
            shell_complete=completing.datastores,
        ),
        click.option(
            "--input",
            "inputs",
            multiple=True,
            metavar="ADDRESS[:/PATH][,key=NAME]",
            help="What is fetched before it starts, from gs://, s3:// or https://, and read at a path (/input); repeatable.",
        ),
        click.option(
            "--output",
            "outputs",
            multiple=True,
            metavar="model:NAME|dataset:NAME|ADDRESS,key=NAME",
            help="What the job's output becomes: new, or a new version; or gs:// or s3://, with ,existing=new-prefix for a prefix of "
            "each attempt. ,always stores it also when the command fails. Repeatable.",
        ),
        click.option(
            "--env", "-e", multiple=True, metavar="K=V", help="A variable; K alone takes it from here. Repeatable."
        ),
        click.option(
            "--key",
            "keys",
            multiple=True,
            metavar="NAME",
            help="A third-party key of the project; repeatable.",
            shell_complete=completing.keys,
        ),
        click.option("--cpu", type=float, help="CPU cores."),
        click.option("--mem", type=float, help="Memory in GiB."),
        click.option("--gpu", type=int, help="GPUs."),
        click.option("--gpu-model", metavar="TYPE", help="The type of GPU."),
        click.option("--nodes", type=int, help="Nodes of a cluster."),
        click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag; repeatable."),
        click.option("--bid", type=int, help="What it bids, 0 to 100; the higher goes first."),
        click.option("--restartable/--no-restartable", default=None, help="Start again when it is interrupted."),
        click.option("--preemptable/--no-preemptable", default=None, help="May be interrupted for a higher bid."),
        click.option("--interactive", "-I", is_flag=True, default=None, help="A session rather than a batch job."),
        click.option(
            "--line-buffered/--no-line-buffered", default=None, help="Write lines to the log as they are printed."
        ),
        click.option(
            "--max-run-time",
            type=jobfile.Duration(),
            metavar="TIME",
            help="Interrupt after this: seconds, 30m, 8h, 2d.",
        ),
        click.option(
            "--package", "-p", "packages", multiple=True, metavar="REQUIREMENT", help="A Python package; repeatable."
        ),
        click.option("--workdir", metavar="DIR", help="Where the command starts."),
        click.option("--file", "files", multiple=True, metavar="PATH[:NAME]", help="A file to upload; repeatable."),
    ]


def after_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What happens once the job is there, or instead."""
    for option in reversed(
        [
            click.option(
                "--dry-run", is_flag=True, help="Check it and print the job.yml that results; submit nothing."
            ),
            click.option("--quiet", "-q", is_flag=True, help="Print the id alone."),
            click.option("--wait", "-w", is_flag=True, help="Wait for its end; the exit status is the job's."),
            click.option("--follow", is_flag=True, help="Print its log as it is written, then as --wait."),
            click.option(
                "--idempotency-key",
                metavar="KEY",
                help="A second submit with this key within a day makes no second job.",
            ),
        ]
    ):
        function = option(function)
    return function


DASHES: Final = "mlteam.dashes"


class Submit(Command):
    """A command that knows whether its words follow `--`, and says where a foreign option belongs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[DASHES] = args[args.index("--") + 1 :] if "--" in args else None
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(
                f"There is no option {error.option_name}. If it belongs to the job's command, put -- before the command.",
                ctx,
            ) from None


def _flags(given: dict[str, Any]) -> dict[str, Any]:
    """The flags as keys of a job file; those that were not given are None or empty."""
    flags = {key: given[flag] for flag, key in _PLAIN.items()}
    flags["input"] = [jobfile.an_input(text) for text in given["inputs"]] or None
    flags["output"] = [jobfile.an_output(text) for text in given["outputs"]] or None
    flags["environmentVars"] = jobfile.variables(given["env"])
    flags["resources"] = {key: _number(given[flag]) for flag, key in _RESOURCES.items() if given[flag] is not None}
    flags["packages"] = {"pip": list(given["packages"])} if given["packages"] else {}
    return flags


def _number(value: Any) -> Any:
    """2.0 as 2, which is how people write it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WORDS = click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND]...")


@click.command("submit", cls=Submit)
@click.option("-f", "--spec", "job_yml", metavar="JOB.YML", help="The job file; - reads standard input.")
@spec_options
@after_options
@WORDS
@prints(*COLUMNS)
def submit(out: Output, job_yml: str | None, words: tuple[str, ...], **given: Any) -> None:
    """Submits a job: a job.yml, flags that override it, and a command.

    Words that are no flags, and all that follows --, are the command. One quoted word with spaces in it is a line for the shell:
    `mlteam job submit 'python train.py > out.txt'`.

    With --wait and --follow the exit status is the job's own: 128 and the number for one that a signal ended, 1 for one that was stopped
    or never started.
    """
    spec = jobfile.load(job_yml) if job_yml else {}
    spec = jobfile.merged(spec, _flags(given), words, after_dashes=_all_follow_dashes(words))
    _go(out, spec, jobfile.files_of(spec, job_yml, given["files"]), given)


@command("clone")
@one_job
@spec_options
@after_options
@click.option("--without-files", is_flag=True, help="Leave out the files that were uploaded with it.")
@prints(*COLUMNS)
def clone(out: Output, job: str | None, last: bool, without_files: bool, **given: Any) -> None:
    """Submits a job again, with what flags change. Its uploaded files come along.

    The new job is made in the active project, unless that may not see the old one's files.
    """
    original = session().get(f"/jobs/{chosen(job, last)['id']}")
    spec = jobfile.merged(dict(original["spec"]), _flags(given), (), after_dashes=False)
    files = jobfile.files_of(spec, None, given["files"])
    replaced = {name for name, _ in files}
    kept = [] if without_files else [name for name in original.get("files", ()) if name not in replaced]
    _go(out, spec, files, given, clone=original["id"], keep_files=kept)


HIDDEN: Final = "?…"  # at the end of an address of which a part may be a secret
KEPT: Final = (
    f"What follows the question mark of an address ({HIDDEN}) is not shown: a clone keeps it. To submit this job.yml by itself, write the "
    "whole address."
)


def _all_follow_dashes(words: tuple[str, ...]) -> bool:
    """Whether all words of the command came after `--`."""
    return bool(click.get_current_context().meta[DASHES] == list(words))


def _go(out: Output, spec: dict[str, Any], files: list[tuple[str, Path]], given: dict[str, Any], **more: Any) -> None:
    said = session()
    if given["dry_run"]:
        checked = said.post(f"/projects/{said.project_id}/jobs/check", {"spec": spec, **more})
        out.text(jobfile.with_what_was_said(checked["spec_yaml"], spec))
        _say_notices(checked)
        if any(one["from"].endswith(HIDDEN) for one in checked["spec"].get("input", ())):
            note(KEPT)
        return
    try:
        job = said.submit(spec, files, key=given["idempotency_key"], **more)
    except errors.Refused as error:
        raise trouble(error, said.project) from error
    _after(out, job, given)


def _after(out: Output, job: dict[str, Any], given: dict[str, Any]) -> None:
    """Prints the job: at once, or as it has ended where that is waited for."""
    from mlteam_sdk.cli import following

    waits = given["wait"] or given["follow"]
    if given["quiet"]:
        click.echo(job["id"])
    elif not waits:
        _print(out, job)
    _say_notices(job)
    if not waits:
        return
    if not given["quiet"]:
        note(f"Submitted {job['name']}: {job['id']}")
    ended = following.follow(session(), job) if given["follow"] else following.wait(session(), job)
    if not given["quiet"] and not given["follow"]:
        _print(out, ended)
    following.say_end(ended)
    raise click.exceptions.Exit(following.status_of(ended))


def _say_notices(told: dict[str, Any]) -> None:
    """What is to be known of the job's data; for who sits there, whatever is printed."""
    for sentence in told.get("notices", ()):  # which a server of before does not send
        note(sentence)


def _print(out: Output, job: dict[str, Any]) -> None:
    try:
        out.one(job)
    except click.UsageError:
        note(f"Submitted {job['name']}: {job['id']}")  # it is there; only what was to be printed of it is not
        raise
