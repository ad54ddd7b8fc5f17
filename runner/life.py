"""The life of a runner: start the job or find it again, move its output, hold its limits, say how it ended, wait for the server's word."""

import contextlib
import json
import os
import select
import signal
import time

from runner import memory, output, processes, sandbox
from runner.attempt import Attempt

LOOK = 0.5  # seconds between two looks at stop.json
SAMPLE = 1.0  # seconds between two looks at the memory
SHUTDOWN = 120.0  # seconds in which a host that goes down kills what it has told to end
KEEP = "2147483647"  # seconds that the keeper of the FIFO sleeps


class CouldNotStart(Exception):
    """The job never began; the text is for people."""


def main(directory, lock):
    """`lock` is the descriptor that says that this attempt has a runner; it ends with this process."""
    attempt = Attempt(directory)
    _detach(attempt, lock)
    state = attempt.state()
    if state.phase == "done":
        return 0
    Runner(attempt, attempt.config(), state).run()
    return 0


def _detach(attempt, lock):
    """Nothing of who started us but the lock: our own troubles go to runner.log, everything else is closed."""
    os.umask(0o077)
    os.chdir(attempt.directory)
    nothing = os.open("/dev/null", os.O_RDONLY)
    log = os.open("runner.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    os.closerange(3, lock)
    os.closerange(lock + 1, 1024)
    os.set_inheritable(lock, False)  # a child that has not yet become its program keeps it
    with contextlib.suppress(OSError):
        os.setsid()


class Runner:
    """One runner with its lock. `state` says how far an earlier one came."""

    def __init__(self, attempt, config, state):
        self.attempt, self.config, self.state = attempt, config, state
        self.resumed = state.phase != "new"
        attempt.remember("runner")
        self.woken, self.waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        for number in (signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # only stop.json ends a job
        signal.signal(signal.SIGTERM, self._told_to_end)
        self.told_at = float("-inf")
        fifo = attempt.path("log.fifo")
        sandbox.make_output(fifo, config.uid)
        self.fifo = sandbox.open_output(fifo)
        self.memory = memory.controller(config.attempt, config.memory_mib)
        self.memory.peak = state.peak
        self.output = self.delivery = self.start_fifo = None
        self.statuses = {}  # of ended children, by pid
        self.next_look = self.next_sample = 0.0
        self.watch = self._watch()
        self.kill_at = self.keeper = self.sandbox = None
        self.last_pump = 0.0
        self.cut = state.phase in ("spawned", "ready") and not self._held()

    def _watch(self):
        """What measures the volumes that the job writes, if it has any."""
        if not any("volume" in mount for mount in self.config.mounts):
            return None
        from runner import volumes

        return volumes.Watch(self.config.mounts)

    def _told_to_end(self, *_):
        """The host is going down: everything is told so, and killed a little later."""
        self.told_at = time.monotonic()

    def _held(self):
        """Whether anybody has kept the FIFO open since the last runner died; if not, what was in it is lost."""
        names = ("sandbox", "network", "keeper")
        return any(processes.is_alive(one) for one in (self.state.child, *map(self.attempt.identity, names)))

    def run(self):
        if self.state.boot != processes.boot_id() and self.state.phase not in ("new", "ended"):
            self._after_reboot()
        if self.state.phase != "ended":
            try:
                self._job()
            except CouldNotStart as error:
                self.memory.remove()
                self._finish("could_not_start", message=str(error))
        self._deliver()

    # The job.

    def _job(self):
        """From wherever the job is to its end."""
        if self.state.phase in ("new", "packages"):
            self._prepare()
            if self.state.end:
                return
        if self.state.phase == "spawning":
            self._spawn()
        self.sandbox = self.sandbox or self.attempt.identity("sandbox")
        self._start_delivery()
        if self.state.phase == "spawned":
            self._connect()
        self._begin()
        self._follow(self.sandbox, sample=True)
        self._end()

    def _prepare(self):
        if self.config.packages:
            from runner import packages

            self.state.save(phase="packages")
            self._start_delivery()
            self.delivery.post_state(state="preparing", at=time.time())
            try:
                venv = packages.prepare(self)
            except packages.Refused as error:
                self._finish("environment", message=str(error))
                return
            except packages.Stopped:
                self._finish(self.state.stopping["reason"])
                return
            self.state.save(venv=venv)
        self.state.save(phase="spawning")

    def _spawn(self):
        """Start the sandbox, unless an earlier runner did: it waits for its start either way."""
        network = (
            "own"
            if self.config.isolation == "sandbox" and self.config.network == "own" and self._has_slirp()
            else "host"
        )
        self.sandbox = self.attempt.identity("sandbox")
        if self.sandbox is None:
            self._fork(network)
        self.state.save(phase="spawned", network=network, memory=self.memory.kind)

    def _has_slirp(self):
        """Whether a network of the job's own can be had here; the server hears in the state which it is."""
        program = self.config.slirp4netns
        return bool(program) and os.access(program, os.X_OK) and os.access("/dev/net/tun", os.W_OK)

    def _fork(self, network):
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self.attempt.path("start.fifo"), 0o600)
        pid = os.fork()
        if pid == 0:
            self._become(network)
        self.sandbox = processes.identify(pid)

    def _become(self, network):
        """In the child. It holds the runner's lock until it is the sandbox's program, so that no other runner can be unsure of it."""
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            sandbox.plain_signals()
            sandbox.attach_output(self.attempt.path("log.fifo"))
            self.attempt.remember("sandbox")
            self.memory.join()
            with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
                file.write("500")  # rather the job than the server
            self._command(network)
        except BaseException as error:
            os.write(2, f"mlteam: the sandbox did not start: {error}\n".encode())
        finally:
            os._exit(126)

    def _command(self, network):
        command, venv = self.config.command, self.state.venv
        if venv == "build":
            from runner import packages

            command, venv = packages.building(self.config), packages.own_environment(self.config)
        if self.config.isolation == "bare":
            from runner import bare

            bare.put_keys(self.config)
            bare.become(self.attempt, self.config, command=command, venv=venv)
        os.umask(0o022)
        sandbox.become(self.attempt, self.config, command=command, venv=venv, network=network)

    def _keep(self):
        """A process that only holds the FIFO, as the network's helper does where there is one."""
        if self.state.network == "own" or self.keeper or processes.is_alive(self.attempt.identity("keeper")):
            return
        self.keeper = os.fork()
        if self.keeper == 0:
            try:
                os.setsid()
                os.dup2(self.fifo, 0)
                self.attempt.remember("keeper")
                os.execvp("sleep", ["sleep", KEEP])  # noqa: S606
            finally:
                os._exit(127)

    def _connect(self):
        """The sandbox is there and waits: give it its network, then let it start."""
        child = self._child()
        self.state.child = processes.identify(child) if child else None
        if self.state.child is None:
            processes.end(self.sandbox)
            raise CouldNotStart(self._last_words())
        if self.state.network == "own":
            from runner import network

            try:
                network.start(self.attempt, self.config, child, fifo=self.fifo)
            except (OSError, network.NetworkError) as error:
                processes.end(self.state.child)
                processes.end(self.sandbox)
                raise CouldNotStart(f"The job's network could not be set up: {error}") from error
        self._keep()
        self.state.save(phase="ready", started_at=time.time())

    def _child(self):
        """Pid of the sandbox's first process, None if the sandbox failed before it had one."""
        processes.wait_until(lambda: "child-pid" in self._status() or not self._waiting(), 10)
        return self._status().get("child-pid")

    def _waiting(self):
        return processes.is_alive(self.sandbox)

    def _status(self):
        """What the sandbox's supervisor has written, all lines as one mapping."""
        try:
            with open(self.attempt.path("sandbox.status")) as file:
                text = file.read()
        except FileNotFoundError:
            return {}
        return _joined(text)

    def _begin(self):
        """Write the byte that the sandbox waits for; a second one, after a runner's death, is read by nobody."""
        start = os.open(self.attempt.path("start.fifo"), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        os.write(start, b"1")
        self.start_fifo = start  # kept open: what is in a FIFO that nobody has open is lost
        self.delivery.post_state(
            state="running", at=self.state.started_at, network=self.state.network, memory=self.state.memory
        )

    # While it runs.

    def _follow(self, identity, *, sample=False):
        """Move output and hold limits until that process has ended."""
        watch = _pidfd(identity)
        poll = select.poll()
        for number in (self.woken, self.fifo, *([watch] if watch is not None else [])):
            poll.register(number, select.POLLIN)
        while processes.is_alive(identity):
            if {number for number, _ in poll.poll(self._patience() * 1000)} == {watch}:
                break
            self._turn(identity if sample else None)
        if watch is not None:
            os.close(watch)
        self._reap()

    def follow_step(self, pid):
        """Follow a child that prepares the job to its end; its wait status."""
        self._follow(processes.identify(pid))
        while pid not in self.statuses:
            self.idle(0.01)
            self._reap()
        while self.output.pump():
            pass  # what it said last is looked at
        self.delivery.grown(self.output.size)
        return self.statuses.pop(pid)

    def idle(self, seconds):
        """Let time pass with output moving and a stop heard."""
        select.select([self.woken, self.fifo], [], [], seconds)
        self._turn(None)

    def say(self, text):
        """A line of ours in the job's log."""
        os.write(self.fifo, f"mlteam: {text}\n".encode())

    def _patience(self):
        now = time.monotonic()
        deadlines = [self.next_look, self.next_sample] + ([self.kill_at] if self.kill_at else [])
        deadlines += [self.watch.due] if self.watch and self.state.phase != "packages" else []
        return min(max(min(deadlines) - now, 0.0), LOOK)

    def _turn(self, root):
        """One round: output, then whatever is due."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.woken, 512)
            self.next_look = 0
        self._pump()
        now = time.monotonic()
        if now >= self.next_look:
            self.next_look = now + LOOK
            self._look(root)
        if now >= self.next_sample:
            self.next_sample = now + SAMPLE
            self._sample(root)
        if root and self.watch and now >= self.watch.due:
            self._measure()
        if self.kill_at and now >= self.kill_at:
            self._kill()

    def _pump(self):
        moved = self.output.pump()
        if not moved:
            return
        self.delivery.grown(self.output.size)
        now = time.monotonic()
        if moved < 65536 and now - self.last_pump < 0.005:
            time.sleep(0.002)  # a busy writer of short lines: let some gather
        self.last_pump = now

    def _look(self, root):
        """Is the job to end: by the server's word, by its time, because nobody knows it any more?"""
        if self.delivery.outcome == "superseded":
            os._exit(0)
        if self.delivery.outcome == "gone":
            self._stop("gone", 0)
        request = None if self.state.stopping else self.attempt.stop_request()
        if request:
            self._stop(request["reason"], request.get("grace", self.config.grace))
        limit, begun = self.config.max_run_time, self.state.started_at
        if root and limit and begun and time.time() - begun >= limit:
            self._stop("time_limit", self.config.grace)
        if self.state.stopping and self.kill_at is None:
            self._stop_again()

    def _stop(self, reason, grace):
        """SIGTERM to all; the kill follows after `grace` seconds."""
        if self.state.stopping:
            return
        self.state.save(stopping={"reason": reason, "kill_at": time.time() + grace})
        self.kill_at = time.monotonic() + grace
        for pid in self._members():
            processes.send(pid, signal.SIGTERM)

    def _stop_again(self):
        """An earlier runner had begun to stop the job."""
        self.kill_at = time.monotonic() + max(self.state.stopping["kill_at"] - time.time(), 0)
        for pid in self._members():
            processes.send(pid, signal.SIGTERM)

    def _members(self):
        """The job's processes, without the one that is the sandbox's own."""
        if self.state.phase == "packages":
            return processes.descendants(os.getpid())
        root = self.state.child["pid"] if processes.is_alive(self.state.child) else None
        if root is None:
            return []
        found = processes.descendants(root)
        return [root, *found] if self.config.isolation == "bare" else found

    def _kill(self):
        """SIGKILL to the whole tree: with the first process of its namespace all others go."""
        self.kill_at = time.monotonic() + 1
        members = self._members()
        if self.state.phase != "packages":
            processes.end(self.state.child)
        for pid in members:
            with contextlib.suppress(PermissionError):
                processes.send(pid, signal.SIGKILL)

    def _sample(self, root):
        if root is None:
            return
        exceeded = self.memory.look(root["pid"])
        self.state.peak = self.memory.peak
        if exceeded and (self.state.stopping or {}).get("reason") != "out_of_memory":
            self.state.save(stopping={"reason": "out_of_memory", "kill_at": time.time()})
            self._kill()

    def _measure(self):
        """A volume that the job has filled ends it: others would find no room."""
        said = self.watch.look()
        if said and not self.state.stopping:
            self.state.save(stopping={"reason": "volume_full", "kill_at": time.time(), "message": said})
            self._kill()

    def _reap(self):
        """Collect ended children and remember how they ended."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                self.statuses[pid] = status

    # Its end.

    def _end(self):
        """The sandbox's supervisor has ended: end what is left, and say how it was."""
        status = self._status()
        self.memory.look(self.state.child["pid"])
        lost = "exit-code" not in status and self._lost()
        reason = (self.state.stopping or {}).get("reason")
        if not reason and time.monotonic() - self.told_at < SHUTDOWN:
            reason = "host_restarted"  # whatever it answered to being told: it had no more time
            processes.wait_until(lambda: not processes.is_alive(self.state.child), self.config.grace)
        self._end_rest()
        if self.memory.exceeded:
            reason = "out_of_memory"
        if "exit-code" in status:
            code = status["exit-code"]
            self._finish(
                reason or self._own_reason(code), exit_status=code, signal=code - 128 if 128 < code <= 192 else None
            )
        elif lost or reason:
            self._finish(reason or "supervisor_lost")
        else:
            raise CouldNotStart(self._last_words())

    def _own_reason(self, code):
        if self.state.venv != "build":
            return "exited"
        from runner import packages

        return "environment" if packages.build_failed(self.config, code) else "exited"

    def _lost(self):
        """Whether the supervisor was killed, rather than having said that the command could not start."""
        status = self.statuses.get(self.sandbox["pid"])
        if status is not None:
            return os.WIFSIGNALED(status)
        # It was another runner's child. After a failed start its first process ends with it; after a kill it lives on.
        if not processes.wait_until(lambda: not processes.is_alive(self.state.child), 0.5):
            return True
        self.output.pump()
        return not self.last_line().startswith(("bwrap: ", "mlteam: "))

    def _end_rest(self):
        """Nothing of the job itself stays: its processes, its cgroup."""
        members = self._members()
        if self.config.isolation == "bare" and self.state.child:
            members += processes.of_session(self.state.child["pid"])
        processes.end(self.state.child)
        for pid in members:
            with contextlib.suppress(PermissionError):
                processes.send(pid, signal.SIGKILL)
        self.memory.remove()

    def _end_helpers(self):
        """Those who kept the FIFO open: they go when what was in it is safe."""
        if self.state.network == "own":
            from runner import network

            network.end(self.attempt)
        processes.end(processes.identify(self.keeper) if self.keeper else self.attempt.identity("keeper"))

    def last_line(self):
        size = self.output.size
        lines = os.pread(self.output.spool, 4096, max(size - 4096, 0)).splitlines()
        return lines[-1].decode(errors="replace") if lines else ""

    def _last_words(self):
        """The sandbox's last line as a sentence for people."""
        self._start_delivery()
        self.output.drain()
        line = self.last_line()
        for beginning in ("bwrap: execvp ", "mlteam: execvp "):
            if line.startswith(beginning):
                program, _, why = line[len(beginning) :].rpartition(": ")
                return f"Command not found: {program}" if why == "No such file or directory" else f"{program}: {why}"
        return line or "The sandbox did not start."

    def _finish(self, reason, *, exit_status=None, signal=None, message=""):
        """The job has ended: all its output into the spool, and the report to be delivered."""
        self._start_delivery()
        self.output.drain()
        message = message or (self.state.stopping or {}).get("message", "")
        report = {
            "reason": reason, "exit_status": exit_status, "signal": signal, "message": message,
            "started_at": self.state.started_at, "ended_at": time.time(), "peak_memory_mib": self.memory.peak // (1 << 20),
            "log": {"gaps": self.output.gaps + ([{"offset": self.output.size, "bytes": None}] if self.cut else [])},
        }  # fmt: skip
        if reason == "environment" and not message:
            report["message"] = self.last_line()
        self.state.save(phase="ended", end=report)

    def _after_reboot(self):
        """All processes are gone; what is on disk is all that there will be."""
        status = self._status()
        if "exit-code" in status and not self.state.stopping:
            code = status["exit-code"]
            self._finish("exited", exit_status=code, signal=code - 128 if 128 < code <= 192 else None)
        else:
            self._finish("host_restarted")

    # The server.

    def _start_delivery(self):
        if self.delivery is not None:
            return
        from runner.delivery import Delivery

        self.output = output.Output(self.attempt, self.config, self.fifo, self.state.gaps)
        self.delivery = Delivery(
            self.config, self.output.spool, told=lambda: os.write(self.waker, b"1"), resume=self.resumed
        )
        self.delivery.start()

    def _forget_keys(self):
        """The job has ended and its output is masked, which the disk knows too: its keys are needed no more."""
        if self.attempt.state().phase != "ended":
            return
        self.attempt.forget("keys.json")
        if self.config.isolation == "bare":
            from runner import bare

            bare.remove_keys(self.config)

    def _deliver(self):
        """Hand over all that is left; when the server has it, nothing of the attempt but its state stays."""
        self._start_delivery()
        self._forget_keys()
        self.delivery.post_end(self.state.end, self.output.size)
        self._end_helpers()
        self.delivery.join()
        if self.delivery.outcome == "superseded":
            os._exit(0)
        self.output.remove()
        self._forget_keys()
        self.state.save(phase="done")


def _joined(text):
    """bubblewrap writes objects one after another, not always one a line."""
    decoder, position, found = json.JSONDecoder(), 0, {}
    while (position := text.find("{", position)) >= 0:
        try:
            value, position = decoder.raw_decode(text, position)
        except ValueError:
            return found  # still being written
        found.update(value)
    return found


def _pidfd(identity):
    if not processes.is_alive(identity):
        return None
    try:
        return os.pidfd_open(identity["pid"])
    except ProcessLookupError:
        return None
