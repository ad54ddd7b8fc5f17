"""The access generation: raised by whatever takes access away, in its transaction."""

import pytest
from django.db import transaction

import access


def test_it_starts_at_nothing_and_rises(db):
    assert access.generation() == 0
    access.bump()
    access.bump()
    assert access.generation() == 2


def test_it_is_raised_with_its_transaction_or_not_at_all(db):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        access.bump()
        raise ZeroDivisionError
    assert access.generation() == 0


def test_reading_it_is_one_query(db, django_assert_num_queries):
    access.bump()
    with django_assert_num_queries(1):
        access.generation()
