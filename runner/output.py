"""The job's output on its way: out of the FIFO, masked, into the log's spool, never more than its cap.

Bytes move with splice(2), from pipe to file inside the kernel: a runner killed at any moment loses none. What is where follows from
file names and sizes alone:

    log.spool        what the server gets: the first half of the cap, and at the end the tail after it
    log.tail.<n>     the n-th piece of what came after the first half; the oldest go when the second half is full
    log.raw.<base>   only where something is masked: bytes from stream offset <base> on, not masked yet
"""

import itertools
import os

from runner import masks

MOVE = 1 << 20
RAW_FILE = 1 << 17  # small: until it is deleted, what is in it takes its room on the disk twice
PIECES = 16  # of the tail; one of them is dropped at a time


class Output:
    """What comes out of the FIFO `fifo` goes to files in the attempt's directory; `gaps` lists what could not be kept."""

    def __init__(self, attempt, config, fifo, gaps):
        self.attempt, self.fifo, self.gaps = attempt, fifo, gaps
        self.spool = os.open(attempt.path("log.spool"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.size = os.fstat(self.spool).st_size
        self.head = config.log_cap // 2 if config.log_cap else None
        self.piece = max((config.log_cap or 0) // 2 // PIECES, 1)
        self.masks = masks.Masks(config.masks) if config.masks else None
        self.raw = self.raw_base = None
        self.full = False
        self._open_tail()

    def _open_tail(self):
        numbers = self._numbers("log.tail.")
        self.tail_first = numbers[0] if numbers else 0
        self.tail_last = numbers[-1] if numbers else 0
        self.tail = None
        if numbers:
            self.tail = os.open(self.attempt.path(f"log.tail.{self.tail_last}"), os.O_RDWR | os.O_CLOEXEC)

    def _numbers(self, prefix):
        names = os.listdir(self.attempt.directory)
        return sorted(int(name[len(prefix) :]) for name in names if name.startswith(prefix))

    def pump(self):
        """Move what is there, 1 MiB at most; the number of bytes taken from the FIFO."""
        if self.masks:
            moved = self._splice(*self._raw_place())
            self.mask()
            return moved
        return self._splice(*self._place())

    def drain(self):
        """Take all that is left, the job having ended; then no more comes. The whole log is in the spool afterwards."""
        while self.pump():
            pass
        if self.masks:
            self.mask(final=True)
            self._rescue()
        self._append_tail()

    def _splice(self, file, offset, room):
        try:
            moved = os.splice(self.fifo, file, min(room, MOVE), offset_dst=offset, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            return 0
        except OSError as error:
            return self._drop(error)
        self.full = False
        if not self.masks:
            self._kept(moved)
        return moved

    def _drop(self, error):
        """The disk does not take it: throw away what is waiting, so that the job goes on, and remember how much."""
        if not self.full:
            print(f"log: {error}; output is dropped until there is room", flush=True)
        self.full = True
        try:
            lost = len(os.read(self.fifo, MOVE))
        except BlockingIOError:
            return 0
        self._gap(self._end(), lost)
        return lost

    def _end(self):
        """Where in the log the next byte from the FIFO will stand once all before it is masked."""
        if not self.masks:
            return self.size
        end = self.raw_base + os.fstat(self.raw).st_size
        return end if self.head is None else min(end, self.head)

    def _gap(self, offset, lost):
        if self.gaps and self.gaps[-1]["offset"] == offset:
            self.gaps[-1]["bytes"] += lost
        else:
            self.gaps.append({"offset": offset, "bytes": lost})

    # Where the next byte goes.

    def _place(self):
        """(file, offset, room) for the next byte of the log."""
        if self.head is None:
            return self.spool, self.size, MOVE
        if self.size < self.head:
            return self.spool, self.size, self.head - self.size
        if self.tail is None or self._tail_size() >= self.piece:
            self._next_piece()
        offset = self._tail_size()
        return self.tail, offset, self.piece - offset

    def _tail_size(self):
        return os.fstat(self.tail).st_size

    def _next_piece(self):
        if self.tail is not None:
            os.close(self.tail)
            self.tail_last += 1
        path = self.attempt.path(f"log.tail.{self.tail_last}")
        self.tail = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while self.tail_last - self.tail_first >= PIECES:
            os.unlink(self.attempt.path(f"log.tail.{self.tail_first}"))
            self.tail_first += 1

    def _kept(self, count):
        if self.head is None or self.size < self.head:
            self.size += count

    # Masking.

    def _raw_place(self):
        bases = self._numbers("log.raw.")
        base = bases[-1] if bases else self.position()
        path = self.attempt.path(f"log.raw.{base}")
        size = os.stat(path).st_size if bases else 0
        if size >= RAW_FILE:
            base, size = base + size, 0
            path = self.attempt.path(f"log.raw.{base}")
        if self.raw_base != base:
            if self.raw_base is not None:
                os.close(self.raw)
            self.raw, self.raw_base = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), base
        return self.raw, size, RAW_FILE - size

    def position(self):
        """How many bytes of the stream have been masked: those in spool and tail, and those dropped from the tail."""
        if self.tail is None:
            return self.size
        return self.size + self.tail_last * self.piece + self._tail_size()

    def mask(self, final=False):
        """Move what is decided from the raw files to the log. What may be the start of a secret waits, unless no more comes."""
        while (data := self._raw(position := self.position())) is not None:
            before, data = data
            ready = self.masks.apply(before, data, final=final or len(data) >= MOVE * 2)
            if not ready or not self._write(ready):
                return
            self._forget_raw(position + len(ready))

    def _raw(self, position):
        """(bytes before `position` for context, bytes from there on), None when there are none."""
        start = max(position - self.masks.longest, 0)
        data = b""
        for base in self._numbers("log.raw."):
            if base > start + len(data) and data:
                break  # enough for now
            start = max(start, base - len(data))  # what was before is long decided
            with open(self.attempt.path(f"log.raw.{base}"), "rb") as file:
                file.seek(start + len(data) - base)
                data += file.read(self.masks.longest + MOVE - len(data))
        before = max(position - start, 0)
        return (data[:before], data[before:]) if len(data) > before else None

    def _forget_raw(self, position):
        bases = self._numbers("log.raw.")
        for base, following in itertools.pairwise(bases):
            if following + self.masks.longest <= position:
                os.unlink(self.attempt.path(f"log.raw.{base}"))

    def _write(self, data):
        """Append to the log; False when the disk is full (the rest stays in the raw file)."""
        while data:
            file, offset, room = self._place()
            try:
                written = os.pwrite(file, data[:room], offset)
            except OSError:
                return False
            self._kept(written)
            data = data[written:]
        return True

    def _rescue(self):
        """What a full disk kept from being masked: the raw files make room for it; what still does not fit is a gap."""
        rest = []
        while (found := self._raw(self.position() + sum(map(len, rest)))) is not None:
            rest.append(self.masks.apply(*found, final=True))
        for base in self._numbers("log.raw."):
            os.unlink(self.attempt.path(f"log.raw.{base}"))
        if self.raw_base is not None:
            os.close(self.raw)  # the last hold on the space
            self.raw_base = None
        rest, before = b"".join(rest), self.position()
        if not self._write(rest):
            lost = len(rest) - (self.position() - before)
            later = [gap for gap in self.gaps if gap["offset"] > self.size]
            self.gaps[len(self.gaps) - len(later) :] = []
            self._gap(self.size, lost + sum(gap["bytes"] for gap in later))

    # The end.

    def _append_tail(self):
        """Put the tail behind the head. Done again from the start if the runner is killed meanwhile."""
        if self.tail is None:
            return
        os.ftruncate(self.spool, self.head)
        self.size = self.head
        if self.tail_first:
            self.gaps.append({"offset": self.head, "bytes": self.tail_first * self.piece})
        for number in range(self.tail_first, self.tail_last + 1):
            self._append_piece(self.attempt.path(f"log.tail.{number}"))

    def _append_piece(self, path):
        with open(path, "rb") as file:
            while data := file.read(MOVE):
                try:
                    written = os.pwrite(self.spool, data, self.size)
                except OSError:
                    written = 0
                self.size += written
                if written < len(data):
                    self._gap(self.size, len(data) - written)

    def remove(self):
        """The server has all: delete what is here."""
        for name in os.listdir(self.attempt.directory):
            if name.startswith(("log.", "start.fifo")):
                os.unlink(self.attempt.path(name))
