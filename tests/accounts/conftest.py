"""A clock for codes."""

import pytest

from accounts import second_step
from tests.accounts.hands import Clock


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(second_step, "yield_hotp_counters_from_time", made.counters)
    return made
