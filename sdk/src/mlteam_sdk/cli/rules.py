"""`mlteam rule …`: what I may do, whether I may do this, and who may."""

from typing import Any

import click

from mlteam_sdk.cli import completing
from mlteam_sdk.cli.command import command, group, session
from mlteam_sdk.cli.output import Output, prints
from mlteam_sdk.cli.texts import note

rule = group(
    "rule",
    "Access: what I may do, whether I may do something, who may.",
    {
        "ls": ("mlteam_sdk.cli.rules:ls", "Lists all rules that I hold."),
        "allowed": ("mlteam_sdk.cli.rules:allowed", "Says whether I may: exit status 0 or 1."),
        "who-is-allowed": ("mlteam_sdk.cli.rules:who_is_allowed", "Lists who may."),
    },
)

QUESTION = click.argument("question", metavar="ACTION@URN")


@command("ls")
@click.option(
    "--in", "inside", metavar="PROJECT", help="Only those that reach this project.", shell_complete=completing.projects
)
@prints("action", "expression")
def ls(out: Output, inside: str | None) -> None:
    """Lists all rules that I hold, from ownership, membership, teams, roles and policies.

    Where one is of my own things only, a third column, only_mine, says so.

    `--fields action,expression,source` says from which of them each comes.
    """
    from mlteam_sdk.cli import names

    said = session()
    # By its id also one that I do not see, in which I may do something to a single thing.
    asked = {"project": names.id_in(inside, "project") or names.project(said, inside)["id"]} if inside else {}
    found = list(said.items("/rules", None, **asked))
    only_mine = any(thing.get("only_mine") for thing in found)
    out.rows(found, ("action", "expression", "only_mine") if only_mine else ())


def _asked(question: str) -> dict[str, str]:
    action, at, urn = question.partition("@")
    if not at or not action or not urn:
        raise click.UsageError('Write ACTION@URN, such as job:stop@"$(mlteam job get --field urn ID)".')
    return {"action": action, "urn": urn}


@command("allowed")
@QUESTION
@click.option(
    "--user", metavar="USER", help="Whether this person may, where I may share.", shell_complete=completing.users
)
@prints("allowed", "action", "urn")
def allowed(out: Output, question: str, user: str | None) -> None:
    """Says whether I may do ACTION to the thing with that URN. Exit status 0 when I may, 1 when not.

    When not, it says the rule that is missing and who can grant it.
    """
    from mlteam_sdk.cli import names

    whose = {"user": names.user(session(), user)["username"]} if user else {}
    decision = session().get("/rules/allowed", **_asked(question), **whose)
    out.one(decision)
    if not decision["allowed"]:
        _explain(decision)
        raise click.exceptions.Exit(1)


def _explain(decision: dict[str, Any]) -> None:
    note(decision.get("reason") or "You may not.")
    if decision.get("missing"):
        note(f"Missing: {decision['missing']}")
    if who := decision.get("who_can_grant"):
        note(f"Who can grant it: {', '.join(person['username'] for person in who)}")


@command("who-is-allowed")
@QUESTION
@prints("id", "name", "type", "source")
def who_is_allowed(out: Output, question: str) -> None:
    """Lists who may do ACTION to the thing with that URN, and where each has it from."""
    holders = session().items("/rules/holders", None, **_asked(question))
    out.rows({"id": held["user"]["id"], "name": held["user"]["username"], "type": "user", **held} for held in holders)
