"""How long questions about access take when there is much: many projects, members, and statements of policies.

On a private PostgreSQL. A request asks the sources once for each person and project; what a page asks after that is answered from
memory. Both are measured: the first question, and the median of all that a page asks.
"""

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import postgresql
from bench.figures import Figure, percentile

if TYPE_CHECKING:
    from accounts.models import User
    from projects.models import Project

PROJECTS = 100
AROUND = 1000  # statements around the person's projects
MANY = 100_000  # members, and statements
TIMES = 50
AT_ONCE = 5000


def measure(var: Path) -> Iterator[Figure]:
    yield from postgresql.figures_of("bench.access_questions")


def _all() -> Iterator[Figure]:
    import django

    django.setup()
    from django.core.management import call_command

    from bench import seeds

    call_command("prepare", stdout=io.StringIO())
    user, project = seeds.account()
    member = seeds.people(1, "m")[0]
    projects = [project, *seeds.projects(user, PROJECTS - 1)]
    seeds.members(projects, [member])
    seeds.statements(projects, seeds.people(AROUND, "around"), user)
    seeds.analyse()
    yield from _allowed(member, projects)
    crowd = seeds.people(MANY, "crowd")
    seeds.members([project], crowd)
    seeds.statements([project, *projects[1:]], crowd, user)
    seeds.analyse()
    yield from _who(project)


def _allowed(member: "User", projects: "list[Project]") -> Iterator[Figure]:
    import access
    from access.evaluator import asked_once

    actions = ["project:get", "job:get", "job:new", "job:stop", "dataset:get", "model:rm", "key:use", "project:share"]
    first, each, queries = [], [], []
    for project in projects:
        with asked_once(), _counted() as count:
            first.append(_taken(lambda project=project: access.allowed(member, "project:get", project)))
            each += [_taken(lambda a=a, p=project: access.allowed(member, a, p)) for a in actions * 5]
        queries.append(count())
    note = f"p95 {percentile(first, 0.95):.2f}"
    yield Figure("allowed(), the median of what a page asks", "ms", [percentile([*first, *each], 0.5)], bar=1)
    yield Figure("allowed(), the first question about a project", "ms", [percentile(first, 0.5)], note=note)
    yield Figure("queries of a request, however many questions", "", [float(max(queries))], bar=3)


def _who(project: "Project") -> Iterator[Figure]:
    import access

    count = access.who("job:get", project).count
    taken = [_taken(lambda: access.who("job:get", project)) for _ in range(TIMES)]
    note = f"p95 {percentile(taken, 0.95):.1f}; {count:,} people"
    yield Figure("who_is_allowed: count and first 50", "ms", [percentile(taken, 0.5)], bar=50, note=note)


def _taken(do: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    do()
    return (time.perf_counter() - begun) * 1000


def _counted() -> Any:
    """A context whose value, called afterwards, is the number of queries in it."""
    from contextlib import contextmanager

    from django.db import connection

    @contextmanager
    def counting() -> Iterator[Callable[[], int]]:
        number = 0

        def count(execute: Any, *args: Any) -> Any:
            nonlocal number
            number += 1
            return execute(*args)

        with connection.execute_wrapper(count):
            yield lambda: number

    return counting()


if __name__ == "__main__":
    for figure in _all():
        print(figure.as_line(), flush=True)
