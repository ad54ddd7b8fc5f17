"""The queue of a host with two cores, as the tests of jobs have it."""

from tests.jobs.conftest import queued, resource

__all__ = ["queued", "resource"]
