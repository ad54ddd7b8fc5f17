"""A team and the people around it."""

import pytest

from teams import actions


@pytest.fixture
def team(owner):
    """Owned by `owner`."""
    return actions.create(name="Lab", by=owner)


@pytest.fixture
def take_in(team, owner):
    """Takes people into a team; answers their places in it."""

    def take(*users, into=None, role="user"):
        return [actions.add_user(team=into or team, user=user, role=role, by=owner) for user in users]

    return take
