"""Fifty jobs, and faults of every kind among them at random: each job ends as it must, with all that it wrote."""

import os
import random
import signal
import time

import pytest

from runner import processes
from tests.faults import remains
from tests.faults.lines import FAST, MEDIUM, SLOW, assert_cut, assert_verified, expected, printing
from tests.faults.viewer import Viewer

pytestmark = [pytest.mark.needs("bwrap", "slirp4netns"), pytest.mark.slow]

JOBS = 50
FAULTS = {
    "web": 2, "worker": 2, "beat": 1, "redis": 2, "runner": 8, "process": 4, "sandbox": 4, "stop": 4, "power": 1,
    "interrupt": 1, "crash": 1,
}  # fmt: skip


class Story:
    """What one job was to do, and every end that it may have had by what was done to it."""

    def __init__(self, chance):
        self.count, self.pause = chance.choice([(150, FAST), (60, MEDIUM), (100, MEDIUM), (12, SLOW), (1, FAST)])
        self.status, self.restartable = chance.choice([0, 0, 3]), chance.random() < 0.5
        self.ends = {("failed" if self.status else "succeeded", "exited", self.status)}
        self.job, self.powerless = None, False  # powerless: the power was off once in its life

    def spec(self):
        return {"command": printing(self.count, self.pause, self.status), "restartable": self.restartable}

    def interrupted(self, reason):
        """A restartable job runs again; another ends."""
        if not self.restartable:
            self.ends.add(("interrupted", reason, None))

    def stopped(self):
        reasons = ("stopped", "host_restarted", "supervisor_lost")
        self.ends |= {("cancelled", reason, status) for reason in reasons for status in (None, 143, 137, 0)}

    def check(self, row):
        assert (row["state"], row["reason"], row["exit_status"]) in self.ends, (row, self.ends)
        assert self.powerless or not any(attempt["gaps"] for attempt in row["attempts"]), row
        for attempt in row["attempts"]:
            assert_cut(attempt, self.job.log(attempt["index"]), self.count)
        if row["reason"] == "exited" and row["exit_status"] == self.status and not row["attempts"][-1]["gaps"]:
            assert self.job.log(row["attempts"][-1]["index"]) == expected(self.count)
            assert_verified(row["attempts"][-1], expected(self.count), lines=self.count)


class Havoc:
    """Does the faults, each to whom it may concern, and tells the stories of those."""

    def __init__(self, server, chance):
        self.server, self.chance, self.stories = server, chance, []

    def some(self):
        """A running job, if there is one."""
        jobs = [story.job for story in self.stories]
        running = {row["id"] for row in self.server.look(jobs) if row["state"] == "running"}
        chosen = [story for story in self.stories if story.job.id in running]
        return self.chance.choice(chosen) if chosen else None

    def do(self, fault):
        if fault in ("web", "worker", "beat", "redis"):
            self.server.kill(fault)
        elif fault in ("power", "interrupt", "crash"):
            getattr(self, fault)()
        elif story := self.some():
            getattr(self, fault)(story, story.job.row()["attempts"][-1]["index"])

    def runner(self, story, index):
        story.job.kill_runner(index)

    def process(self, story, index):
        inside = remains.is_that(story.job.memory(index).get("child")) and story.job.first_process(index)
        for pid in processes.descendants(inside)[:1] if inside else ():
            story.ends.add(("failed", "exited", 137))
            processes.send(pid, signal.SIGKILL)

    def sandbox(self, story, index):
        if remains.is_that(identity := story.job.identity("sandbox", index)):
            story.interrupted("supervisor_lost")
            processes.send(identity["pid"], signal.SIGKILL)

    def stop(self, story, index):
        story.stopped()
        story.job.stop()

    def power(self):
        for story in self.stories:
            story.interrupted("host_restarted")
            story.powerless = True
        self.server.power_off()
        self.server.start()

    def interrupt(self):
        assert self.server.end(signal.SIGINT) == 0
        self.server.start()

    def crash(self):
        self.server.end(signal.SIGKILL)
        self.server.start()


@pytest.mark.usefixtures("fresh")
def test_fifty_jobs_among_faults_of_every_kind(server):
    chance = random.Random(int(os.environ.get("FAULTS_SEED", "7")))
    havoc = Havoc(server, chance)
    stories = [Story(chance) for _ in range(JOBS)]
    faults = [fault for fault, times in FAULTS.items() for _ in range(times)]
    chance.shuffle(faults)
    viewers = []
    for number, fault in enumerate(faults):
        new = stories[JOBS * number // len(faults) : JOBS * (number + 1) // len(faults)]
        for story, job in zip(new, server.submit_all([story.spec() for story in new]), strict=True):
            story.job = job
        havoc.stories += new
        time.sleep(chance.random())
        havoc.do(fault)
        if number % 6 == 0 and (story := havoc.some()):
            viewers.append(Viewer(story.job))
    rows = server.ended([story.job for story in stories])
    for story, row in zip(stories, rows, strict=True):
        story.check(row)
    for viewer in viewers:
        assert viewer.wait() == viewer.job.log(0)
    assert server.idle()
