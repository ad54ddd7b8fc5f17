"""Jobs that are killed, stopped, out of time or memory, or that never begin: each ends with that reason, and whole."""

import signal

import pytest

from runner import processes
from tests.faults.installation import until
from tests.faults.lines import MEDIUM, assert_prefix, printing, printing_until_told

pytestmark = pytest.mark.needs("bwrap", "slirp4netns")

ENDLESS = printing(100_000, MEDIUM)
STUBBORN = "trap '' TERM; (trap '' TERM; while :; do sleep 0.1; done) & setsid sleep 1000 & echo ready; while :; do sleep 0.1; done"


def kill(*pids):
    for pid in pids:
        processes.send(pid, signal.SIGKILL)


def command_of(job):
    """The pid of the job's own first process."""
    return processes.descendants(job.first_process())[0]


def outcome(row):
    return row["state"], row["reason"], row["exit_status"]


def test_kill_9_of_a_jobs_own_process(server):
    job = server.submit(ENDLESS)
    server.until_running([job])
    kill(command_of(job))
    row = job.wait()
    assert outcome(row) == ("failed", "exited", 137)
    assert row["sentence"] == "The command was killed by SIGKILL."
    assert_prefix(job.log(), 100_000)
    assert row["attempts"][0]["log_verified"]


def test_kill_9_of_a_part_of_a_job_is_the_jobs_own_affair(server):
    job = server.submit('sleep 1000 & echo $!; wait $!; echo "ended with $?"; exit 5')
    server.until_running([job])
    kill(processes.descendants(command_of(job))[0])
    row = job.wait()
    assert outcome(row) == ("failed", "exited", 5)
    assert job.log().endswith(b"ended with 137\n")


def test_kill_9_of_the_sandbox_ends_the_whole_tree(server):
    """Its supervisor outside, and both of its processes at once."""
    jobs = server.submit_all([{"command": ENDLESS}, {"command": STUBBORN}, {"command": ENDLESS}])
    server.until_running(jobs)
    for job in jobs[:2]:
        kill(job.identity("sandbox")["pid"])
    everything = [jobs[2].first_process(), *processes.descendants(jobs[2].first_process())]
    kill(jobs[2].identity("sandbox")["pid"], *everything)
    for row in server.ended(jobs):
        assert outcome(row) == ("interrupted", "supervisor_lost", None), row
        assert row["sentence"] == "Its sandbox was killed from outside."
        assert row["attempts"][0]["log_verified"]
    assert_prefix(jobs[0].log(), 100_000)
    assert server.idle()


def test_kill_9_of_the_sandboxs_first_process_inside(server):
    job = server.submit(ENDLESS)
    server.until_running([job])
    kill(job.first_process())
    row = job.wait()
    assert outcome(row) in {("failed", "exited", 137), ("interrupted", "supervisor_lost", None)}, row


def test_a_restartable_job_whose_sandbox_is_killed_runs_again(server):
    job = server.submit("echo attempt $MLTEAM_ATTEMPT; test $MLTEAM_ATTEMPT = 1 || sleep 1000", restartable=True)
    server.until_running([job])
    kill(job.identity("sandbox")["pid"])
    row = job.wait()
    assert outcome(row) == ("succeeded", "exited", 0)
    assert [attempt["reason"] for attempt in row["attempts"]] == ["supervisor_lost", "exited"]
    assert [job.log(index) for index in (0, 1)] == [b"attempt 0\n", b"attempt 1\n"]


def test_kill_9_of_the_jobs_network_helper_leaves_the_job_alone(server):
    job = server.submit(printing_until_told(40, MEDIUM, 2))
    server.until_running([job])
    kill(job.identity("network")["pid"])
    job.go()
    assert outcome(job.wait()) == ("failed", "exited", 2)


def test_stop_lets_a_job_end_in_its_own_way(server):
    job = server.submit("trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.1; done")
    server.until_running([job])
    job.stop()
    assert outcome(job.wait()) == ("cancelled", "stopped", 0)
    log = job.log()
    assert (log[:6], log[-6:]) == (b"ready\n", b"saved\n")


def test_stop_kills_what_ignores_sigterm_with_all_that_it_started(server):
    job = server.submit(STUBBORN)
    server.until_running([job])
    job.stop()
    row = job.wait()
    assert (row["state"], row["reason"]) == ("cancelled", "stopped")
    assert ["cancelling", "stopped"] in row["moves"]


@pytest.mark.parametrize("part", ["web", "worker", "redis"])
def test_stop_is_heard_whatever_dies(server, part):
    jobs = server.submit_all([{"command": STUBBORN}, {"command": ENDLESS}])
    server.until_running(jobs)
    server.part(part).kill()
    for job in jobs:
        job.stop()
    assert [row["state"] for row in server.ended(jobs)] == ["cancelled", "cancelled"]
    assert server.idle()


def test_stop_is_heard_by_the_runner_after_the_one_that_was_killed(server):
    jobs = server.submit_all([{"command": STUBBORN}, {"command": ENDLESS}])
    server.until_running(jobs)
    for job in jobs:
        job.kill_runner()
        job.stop()
    jobs[0].kill_runner()
    assert [row["state"] for row in server.ended(jobs)] == ["cancelled", "cancelled"]


def test_stop_right_after_the_start(server):
    jobs = [server.submit(ENDLESS) for _ in range(6)]
    for job in jobs:
        job.stop()
    assert {row["state"] for row in server.ended(jobs)} == {"cancelled"}
    assert server.idle()


def test_time_limit(server):
    jobs = server.submit_all([{"command": ENDLESS, "maxRunTime": 1}, {"command": STUBBORN, "maxRunTime": 1}])
    for row in server.ended(jobs):
        assert (row["state"], row["reason"]) == ("interrupted", "time_limit"), row
    assert_prefix(jobs[0].log(), 100_000)


def test_out_of_memory(server):
    small = {"cpu": 0.5, "mem": 0.0625}
    jobs = server.submit_all(
        [
            {"command": "echo begun; tail /dev/zero; echo never", "resources": small},
            {"command": "echo begun; head -c 300000000 /dev/zero > /dev/shm/full; exit 9", "resources": small},
            {"command": printing(50, MEDIUM)},
        ]
    )
    greedy, hoarding, other = server.ended(jobs)
    assert (greedy["state"], greedy["reason"]) == ("failed", "out_of_memory"), greedy
    assert jobs[0].log().startswith(b"begun\n")
    assert greedy["sentence"].startswith("Used more memory than it asked for.")
    assert (hoarding["state"], hoarding["reason"]) in {("failed", "out_of_memory"), ("failed", "exited")}, hoarding
    assert outcome(other) == ("succeeded", "exited", 0)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"command": ["no-such-program", "x"]}, "Command not found: no-such-program"),
        ({"command": ["/etc/passwd"]}, "/etc/passwd: Permission denied"),
        ({"command": ["true"], "workdir": "nowhere"}, "nowhere"),
    ],
)
def test_a_command_that_cannot_start(server, spec, said):
    row = server.submit(**spec).wait()
    assert (row["state"], row["reason"]) == ("failed", "could_not_start"), row
    assert said in row["sentence"], row["sentence"]
    assert row["attempts"][0]["log_verified"]


def test_a_worker_killed_between_placing_and_starting(server):
    """Jobs come while the worker dies again and again: each is started once, none is forgotten."""
    jobs = []
    for _ in range(3):
        new = server.submit_all([{"command": 'echo "only once"; exit 3'} for _ in range(4)])
        until(lambda new=new: any(row["state"] != "queued" for row in server.look(new)), "a placed job", server.trouble)
        jobs += new
        server.kill("worker")
    for job, row in zip(jobs, server.ended(jobs), strict=True):
        assert outcome(row) == ("failed", "exited", 3), row
        assert job.log() == b"only once\n"
        assert len(row["attempts"]) == 1
    assert server.idle()


def test_nothing_of_a_daemon_stays(server):
    script = "for i in 1 2 3; do (setsid sh -c 'trap \"\" HUP TERM; sleep 1000' >/dev/null 2>&1 &); done; echo forked; exit 0"
    job = server.submit(script)
    assert outcome(job.wait()) == ("succeeded", "exited", 0)
    assert job.log() == b"forked\n"
