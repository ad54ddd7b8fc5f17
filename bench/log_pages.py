"""How long a page of a big log takes: 1,000 lines anywhere in 1 GB, by offset and by line, through the server and without it."""

import io
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figures import Figure, percentile

SIZE = 10**9
LINES = 1000  # of a page
REPETITIONS = 40
BAR = 20  # ms
RANDOM = random.Random(1)


def measure(var: Path) -> Iterator[Figure]:
    import django

    django.setup()
    from django.core.management import call_command

    from bench import seeds, web
    from compute import resources
    from jobs import logs
    from jobs.models import Job

    call_command("prepare", stdout=io.StringIO())
    user, here = seeds.account()
    seeds.jobs(user, here, [], range(100, 102), resources.register_this_host())
    job = Job.objects.first()
    path = logs.path_of(job.id, 0)
    lines = _write(path)

    begun = time.perf_counter()
    logs.lines(path)
    yield Figure("first look at a log without its line index", "ms", [(time.perf_counter() - begun) * 1000])

    cookies = web.cookies_of(user)
    page = f"/p/bench/jobs/{job.id}/attempts/0/log/page?lines={LINES}"
    places: dict[str, tuple[Callable[[], str], Callable[[str], object]]] = {
        "start": (lambda: "offset=0", lambda _: logs.page_from(path, 0, LINES)),
        **{
            f"{share} %": (
                lambda at=share * SIZE // 100: f"offset={at}",
                lambda _, at=share * SIZE // 100: logs.page_from(path, at, LINES),
            )
            for share in (25, 50, 75)
        },
        "end": (lambda: "before=999999999999", lambda _: logs.page_before(path, SIZE, LINES)),
        "random bytes": (
            lambda: f"offset={RANDOM.randrange(SIZE)}",
            lambda asked: logs.page_from(path, int(asked[7:]), LINES),
        ),
        "random lines": (
            lambda: f"line={RANDOM.randrange(lines)}",
            lambda asked: logs.page_of_line(path, int(asked[5:]), LINES),
        ),
        "before random bytes": (
            lambda: f"before={RANDOM.randrange(SIZE)}",
            lambda asked: logs.page_before(path, int(asked[7:]), LINES),
        ),
    }
    application = web.InProcess(cookies)
    for name, (where, directly) in places.items():
        asked = [where() for _ in range(REPETITIONS)]
        alone = [_timed(directly, one) for one in asked]
        times = application.times([f"{page}&{one}" for one in asked])
        note = f"{times.note()}; jobs.logs alone {percentile(alone, 0.5):.1f}"
        yield Figure(f"{name}: server time", "ms", times.taken, bar=BAR, note=note)
    with web.over_http(cookies) as browser:
        for name, (where, _) in places.items():
            taken = web.http_times(browser, [f"{page}&{where()}" for _ in range(REPETITIONS)])
            yield Figure(f"{name}: over HTTP", "ms", taken, note=f"p95 {percentile(taken, 0.95):.1f}")


def _timed(call: Callable[[str], object], asked: str) -> float:
    begun = time.perf_counter()
    call(asked)
    return (time.perf_counter() - begun) * 1000


def _write(path: Path) -> int:
    """Numbered lines of 20 to 140 bytes, as many as make a little more than SIZE; answers how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, written = 0, 0
    tails = [b"loss=0.%05d lr=0.001 " % number + b"x" * (number % 100) for number in range(1000)]
    with path.open("wb") as log:
        while written < SIZE:
            block = b"".join(b"%011d %s\n" % (number + place, tails[place]) for place in range(1000))
            number, written = number + 1000, written + log.write(block)
        log.flush()
        os.fsync(log.fileno())
    path.with_suffix(".lines").unlink(missing_ok=True)
    return number
