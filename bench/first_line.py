"""How soon a person sees that their job runs.

From sending the form of a new job to the first line of its log in a WebSocket viewer, in turn with the same sandbox
(same bubblewrap and slirp4netns arguments, same user) started by hand, from its start to the line in a pipe.
"""

import os
import re
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.client import Browser
from bench.figures import Figure
from bench.server import running, wait_for

REPETITIONS = 12
COMMAND = "echo first"
LINE = b"first\n"


def measure(var: Path) -> Iterator[Figure]:
    with running(var) as server:
        import django

        django.setup()
        browser = server.first_account()
        _through_mlteam(browser)  # the first request of all loads the code
        ours, answered, by_hand = [], [], []
        for _ in range(REPETITIONS):
            seen, sent = _through_mlteam(browser)
            ours.append(seen)
            answered.append(sent)
            by_hand.append(ByHand(var).run())
            time.sleep(0.5)  # idle again
    difference = [mine - theirs for mine, theirs in zip(ours, by_hand, strict=True)]
    yield Figure("form sent → first line", "ms", ours, bar=300)
    yield Figure("  of which the form's answer", "ms", answered)
    yield Figure("the same sandbox by hand → first line", "ms", by_hand)
    yield Figure("difference", "ms", difference, bar=150)


def _through_mlteam(browser: Browser) -> tuple[float, float]:
    """Milliseconds from sending the form to the first line, and to the form's answer."""
    begun = time.perf_counter()
    job_id = browser.new_job(COMMAND)
    answered = time.perf_counter()
    with browser.log_socket(job_id) as socket:
        while True:
            message = socket.recv(timeout=60)
            if isinstance(message, bytes):
                return (time.perf_counter() - begun) * 1000, (answered - begun) * 1000


class ByHand:
    """The sandbox of the runner without runner and server, as somebody would start it who knows the arguments."""

    def __init__(self, var: Path) -> None:
        from django.conf import settings

        from compute import host
        from runner.attempt import Config

        self.root = os.geteuid() == 0
        self.uid = settings.MLTEAM_UID_BASE + 19_999 if self.root else None
        self.facts = host.facts()
        self.network = self.facts.network
        directory = var / "by-hand"
        for name in ("work", "output"):
            (directory / name).mkdir(parents=True, exist_ok=True)
            if self.uid:
                os.chown(directory / name, self.uid, self.uid)
        self.config = Config(
            {
                "uid": self.uid,
                "work": str(directory / "work"),
                "output": str(directory / "output"),
                "command": ["/bin/sh", "-c", COMMAND],
                "memory_mib": 64,
            }
        )

    def run(self) -> float:
        """Milliseconds from the start to the first line."""
        begun = time.perf_counter()
        status, status_writer = os.pipe()
        block, block_writer = os.pipe()
        bwrap, line = self._bubblewrap(status_writer, block)
        os.close(status_writer)
        child = _child(status)
        helper = self._slirp(child) if self.network == "own" else None
        os.write(block_writer, b"1")
        assert os.read(line, 100) == LINE
        taken = (time.perf_counter() - begun) * 1000
        bwrap.wait(10)
        if helper:
            helper.kill()
            helper.wait(10)
        for number in (line, status, block, block_writer):
            os.close(number)
        return taken

    def _bubblewrap(self, status: int, block: int) -> tuple[subprocess.Popen, int]:
        from runner import sandbox

        line, line_writer = os.pipe()
        descriptors = {"block": block, "status": status}
        for name, text in sandbox.etc_files(self.config, self.network).items():
            descriptors[name] = sandbox._holding(text)
        located = {path: path for path in (self.config.work, self.config.output)}
        arguments = sandbox.arguments(
            self.config,
            command=self.config.command,
            venv=None,
            network=self.network,
            located=located,
            descriptors=descriptors,
        )
        user = {"user": self.uid, "group": self.uid, "extra_groups": []} if self.root else {}
        process = subprocess.Popen(
            [self.facts.bwrap, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=line_writer,
            pass_fds=[*descriptors.values()],
            **user,
        )
        for number in (
            line_writer,
            *(number for name, number in descriptors.items() if name not in {"block", "status"}),
        ):
            os.close(number)
        return process, line

    def _slirp(self, child: int) -> subprocess.Popen:
        from runner import network

        wait_for(lambda: network._has_loopback(child), "the sandbox's loopback", every=0.0005)
        ready, ready_writer = os.pipe()
        user_namespace, net = network._namespaces(child)
        options = ["--configure", "--mtu=65520", "--disable-host-loopback", f"--ready-fd={ready_writer}"]
        options += [f"--userns-path=/proc/self/fd/{user_namespace}", str(child), "tap0"]
        helper = subprocess.Popen(
            [self.facts.slirp4netns, *options],
            pass_fds=[ready_writer, user_namespace],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(ready_writer)
        assert select.select([ready], [], [], 10)[0] and os.read(ready, 1) == b"1"
        for number in (ready, user_namespace, net):
            os.close(number)
        return helper


def _child(status: int) -> int:
    """The pid of the sandbox's first process, from what bubblewrap says of itself."""
    said = ""
    while not (found := re.search(r'"child-pid": (\d+)', said)):
        said += os.read(status, 1000).decode()
    return int(found[1])
