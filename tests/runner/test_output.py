"""The way of the output's bytes, with a runner that may end between any two moves."""

import base64
import os
import random

import pytest

from runner import masks, output
from runner.attempt import Attempt, Config


class Way:
    """A FIFO and what becomes of the bytes put into it."""

    def __init__(self, directory, **config):
        self.attempt, self.config, self.gaps = Attempt(directory), Config(config), []
        os.mkfifo(self.attempt.path("log.fifo"))
        self.fifo = os.open(self.attempt.path("log.fifo"), os.O_RDWR | os.O_NONBLOCK)
        self.again()

    def again(self):
        """Another runner goes on, knowing files alone."""
        self.output = output.Output(self.attempt, self.config, self.fifo, self.gaps)

    def put(self, data):
        while data:
            data = data[os.write(self.fifo, data[:4096]) :]
            if self.output.pump() == 0:
                break

    def fall_behind(self, *, stop):
        """As if killed after a move and before masking: the next one finds several files of raw bytes."""
        self.output.mask = (lambda final=False: None) if stop and self.output.masks else self.output.mask

    def log(self):
        with open(self.attempt.path("log.spool"), "rb") as file:
            return file.read()


def stream(count):
    return "".join(f"{number}\n" for number in range(count)).encode()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cap", [None, 3000, 20_000])
@pytest.mark.parametrize("secrets", [[], [b"99", b"199", b"9\n20"]])
def test_whatever_is_interrupted_nothing_is_lost_or_repeated(tmp_path, monkeypatch, seed, cap, secrets):
    monkeypatch.setattr(output, "RAW_FILE", 300)
    monkeypatch.setattr(output, "MOVE", 128)
    chance, whole = random.Random(seed), stream(3000)
    way = Way(tmp_path, log_cap=cap, masks=[base64.b64encode(secret) for secret in secrets])
    rest = whole
    while rest:
        size = chance.randrange(1, 700)
        way.put(rest[:size])
        rest = rest[size:]
        if chance.random() < 0.2:
            way.again()
            way.fall_behind(stop=chance.random() < 0.5)
    way.again()
    way.output.drain()
    expected = masks.Masks([base64.b64encode(secret) for secret in secrets]).apply(b"", whole, final=True)
    lost = sum(gap["bytes"] for gap in way.gaps)
    head = way.gaps[0]["offset"] if way.gaps else len(whole)
    assert way.log() == expected[:head] + expected[head + lost :]
    assert bool(lost) == (cap is not None and cap < len(whole))


@pytest.mark.parametrize("seed", range(20))
def test_masking_in_pieces_is_masking_at_once(seed):
    chance = random.Random(seed)
    secrets = [bytes(chance.choices(b"ab", k=chance.randrange(1, 6))) for _ in range(3)]
    marks = masks.Masks([base64.b64encode(secret) for secret in secrets])
    whole = bytes(chance.choices(b"abc", k=400))
    got, arrived = b"", 0
    while arrived < len(whole):
        arrived = min(arrived + chance.randrange(1, 30), len(whole))
        before = whole[max(len(got) - marks.longest, 0) : len(got)]
        got += marks.apply(before, whole[len(got) : arrived], final=False)
    got += marks.apply(whole[max(len(got) - marks.longest, 0) : len(got)], whole[len(got) :], final=True)
    assert got == marks.apply(b"", whole, final=True)
    assert len(got) == len(whole)
