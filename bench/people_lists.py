"""How long the lists of people and projects take with 10,000 rows each, on a private PostgreSQL.

The pages are asked of a process of its own, as a server is one, which has written none of the rows: the 95th percentile of each round.
One person owns 10,000 projects and is a member of 10,000 others, with a job in each. One of theirs has 10,000 members, teams, open
invitations, entries of its trail, rows of its ledger and budgets; one team has 10,000 users. Money shows.
"""

import io
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bench import postgresql
from bench.figures import Figure, percentile

if TYPE_CHECKING:
    from accounts.models import User
    from projects.models import Project

REQUESTS = 40  # in a round
ROUNDS = 5
BAR = 50  # ms
MANY = 10_000
FEW = 60

PAGES = {
    "projects": "/projects/",
    "projects by last activity": "/projects/?sort=-activity",
    "projects by cost": "/projects/?sort=-cost",
    "shared projects": "/projects/?view=shared",
    "shared projects by last activity": "/projects/?view=shared&sort=-activity",
    "shared projects by cost": "/projects/?view=shared&sort=-cost",
    "projects, q (many)": "/projects/?q=vision",
    "projects, q that matches nothing": "/projects/?q=no-such-thing",
    "projects, found in the switcher": "/projects/find?q=vision",
    "members, invitations, teams": "/p/bench/members",
    "members, q": "/p/bench/members?q=person-09",
    "a page without lists": "/p/bench/settings",
    "jobs of a project without any": "/p/bench/jobs",
    "teams": "/teams/",
    "teams, q": "/teams/?q=vision",
    "users of a team": "/t/team-00000",
    "users of a team, q": "/t/team-00000?q=person-09",
    "audit trail": "/p/bench/audit",
    "audit trail, q": "/p/bench/audit?q=train+77",
    "usage of a project": "/p/bench/usage",
    "my usage": "/usage",
    "what I used": "/usage?view=used",
    "budgets": "/p/bench/budgets",
    "budgets, q": "/p/bench/budgets?q=person-09",
    "my rules": "/rules/",
    "who may": "/p/bench/access?action=job:get",
    "who may, in the middle": "/p/bench/access?action=job:get&after=person-60-05000",
}
HTMX = {"projects, found in the switcher"}


def measure(var: Path) -> Iterator[Figure]:
    yield from postgresql.figures_of("bench.people_lists")


def _on_this_database(name: str) -> Iterator[Figure]:
    import django

    django.setup()
    from django.core.management import call_command

    from bench import seeds

    call_command("prepare", stdout=io.StringIO())
    user, here = seeds.account()
    fill(user, here, range(FEW))
    few = dict(_asked(1))
    fill(user, here, range(FEW, MANY))
    seeds.analyse()
    for page, rounds in _asked(ROUNDS):
        p50, cpu = (statistics.median(one[key] for one in rounds) for key in ("p50", "cpu"))
        note = f"p50 {p50:.1f}, CPU {cpu:.1f}, {rounds[-1]['queries']} queries ({few[page][-1]['queries']} with {FEW} rows)"
        yield Figure(f"{name}, {page}: p95", "ms", [one["p95"] for one in rounds], bar=BAR, note=note)


def _asked(rounds: int) -> Iterator[tuple[str, list[dict[str, float]]]]:
    """Each page with what came of each round, by a process that does nothing else."""
    command = [sys.executable, "-m", "bench.people_lists", "ask", str(rounds)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    yield from json.loads(answer).items()


def _ask(rounds: int) -> dict[str, list[dict[str, float]]]:
    import django

    django.setup()
    from bench import seeds, web

    application = web.InProcess(web.cookies_of(seeds.account()[0]))
    found: dict[str, list[dict[str, float]]] = {page: [] for page in PAGES}
    for _ in range(rounds):
        for page, path in PAGES.items():
            headers = {"hx-request": "true"} if page in HTMX else {}
            times = application.times([path] * (REQUESTS if rounds > 1 else 1), headers=headers)
            shares = {"p50": percentile(times.taken, 0.5), "p95": percentile(times.taken, 0.95)}
            found[page].append(shares | {"cpu": times.cpu, "queries": times.queries})
    return found


def fill(user: "User", here: "Project", places: range) -> None:
    """Rows number `places` of each kind around the person, their project and a team."""
    from bench import people_seeds as rows
    from teams.models import Role, Team

    first = places.start == 0
    other, *people = rows.users(len(places) + 1, prefix=f"person-{places.start}")
    owned = rows.projects(user, len(places), f"owned-{places.start}")
    shared = rows.projects(other, len(places), f"shared-{places.start}")
    rows.shared(shared, user)
    rows.members(here, people)
    rows.invitations(here, places)
    teams = rows.teams(places)
    if first:
        rows.price()
        rows.fill(teams[0], [user], Role.OWNER)
    rows.join(here, teams)
    rows.fill(Team.objects.get(slug="team-00000"), people)
    rows.trail(here, len(places), people)
    rows.charges(here, len(places), people)
    rows.costs(owned, user)
    rows.sum_up()
    rows.budgets(here, people)
    rows.jobs(owned + shared, user)


if __name__ == "__main__" and sys.argv[1:2] == ["ask"]:
    print(json.dumps(_ask(int(sys.argv[2]))))
elif __name__ == "__main__":
    for figure in _on_this_database("PostgreSQL"):
        print(figure.as_line(), flush=True)
