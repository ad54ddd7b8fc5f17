"""How long the lists take when there is much: 100,000 jobs, half of them in one of 1,000 projects that the person sees.

Server time of a request through the whole application in this process, and the same over HTTP; on SQLite, and on a
private PostgreSQL where one is installed.
"""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bench import postgresql
from bench.figures import Figure, percentile

if TYPE_CHECKING:
    from bench.web import Times

REQUESTS = 200
BAR = 50  # ms

PAGES = {
    "all": "/p/bench/jobs",
    "mine": "/p/bench/jobs?mine=1",
    "state=failed": "/p/bench/jobs?state=failed",
    "state=running": "/p/bench/jobs?state=running",
    "mine, state=failed": "/p/bench/jobs?mine=1&state=failed",
    "q=fold 3 (many)": "/p/bench/jobs?q=fold+3",
    "q that matches nothing": "/p/bench/jobs?q=no-such-thing",
    "q=ada (creator)": "/p/bench/jobs?q=ada",
    "in the middle": "/p/bench/jobs?page={middle}",
}


def measure(var: Path) -> Iterator[Figure]:
    yield from _on_this_database("SQLite")
    if shutil.which("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        yield from postgresql.figures_of("bench.lists")


def _on_this_database(name: str) -> Iterator[Figure]:
    import django

    django.setup()
    from django.core.management import call_command

    from accounts.paging import cursor_of
    from bench import seeds, web
    from compute import resources
    from jobs.models import Job

    call_command("prepare", stdout=io.StringIO())
    user, here = seeds.account()
    resource = resources.register_this_host()
    cookies = web.cookies_of(user)
    application = web.InProcess(cookies)

    seeds.jobs(user, here, [], range(100), resource)
    few = {page: application.times([path]).queries for page, path in PAGES.items() if "{" not in path}
    few_projects = application.times(["/projects/"]).queries
    others = seeds.projects(user, seeds.PROJECTS - 1)
    seeds.jobs(user, here, others, range(100, seeds.JOBS), resource)
    seeds.analyse()
    half_way = Job.objects.in_project(here).newest_first()[seeds.JOBS // 4]
    middle = cursor_of(half_way.created_at, half_way.pk, "o")

    for page, path in PAGES.items():
        times = application.times([path.format(middle=middle)] * REQUESTS)
        yield _p95(f"{name}, {page}", times, few.get(page), bar=BAR)
    yield _p95(f"{name}, list of projects", application.times(["/projects/"] * (REQUESTS // 10)), few_projects)
    with web.over_http(cookies) as browser:
        taken = web.http_times(browser, [PAGES["all"]] * REQUESTS)
        yield Figure(
            f"{name}, all, over HTTP: p95", "ms", [percentile(taken, 0.95)], note=f"p50 {percentile(taken, 0.5):.1f}"
        )


def _p95(what: str, times: "Times", few: int | None, bar: float | None = None) -> Figure:
    """`few`: the queries that the page took with 100 jobs and one project."""
    note = times.note() if few is None else f"{times.note()} ({few} with 100 jobs)"
    return Figure(f"{what}: p95", "ms", [percentile(times.taken, 0.95)], bar=bar, note=note)


if __name__ == "__main__":
    for figure in _on_this_database("PostgreSQL"):
        print(figure.as_line(), flush=True)
