"""The installation's admins: only they make others, and one always stays."""

import pytest
from django.urls import reverse

from access import Refused
from accounts import admins
from accounts.errors import Impossible
from accounts.models import OutgoingEmail, User


@pytest.fixture
def second(make_user):
    return make_user("berta")


def names() -> list[str]:
    return [user.username for user in admins.all_of_them()]


def test_an_admin_makes_another_who_hears_of_it(as_user, admin, second):
    as_user(admin).post(reverse("admin_add"), {"username": second.username})
    assert names() == [admin.username, second.username]
    assert "admin of this installation" in OutgoingEmail.objects.get(to=second.email).body
    assert as_user(second).get("/staff/").status_code == 200


def test_the_last_admin_stays(admin, second):
    with pytest.raises(Impossible):
        admins.remove(user=admin, by=admin)
    admins.add(user=second, by=admin)
    admins.remove(user=admin, by=second)
    with pytest.raises(Impossible):
        admins.remove(user=second, by=second)
    assert names() == [second.username]


def test_an_inactive_admin_is_not_the_one_who_stays(admin, second):
    admins.add(user=second, by=admin)
    User.objects.filter(pk=second.pk).update(is_active=False)
    with pytest.raises(Impossible):
        admins.remove(user=admin, by=admin)


def test_who_was_an_admin_is_none_at_once(as_user, admin, second):
    admins.add(user=second, by=admin)
    browser = as_user(second)
    admins.remove(user=second, by=admin)
    assert browser.get("/staff/").status_code == 404
    assert browser.post(reverse("admin_add"), {"username": second.username}).status_code == 403
    with pytest.raises(Refused):
        admins.add(user=second, by=second)  # as it was in memory, it still is one


def test_nobody_else_changes_anything(as_user, admin, second):
    page = as_user(second)
    assert "Make somebody an admin" not in page.get(reverse("admins")).content.decode()
    assert page.post(reverse("admin_add"), {"username": second.username}).status_code == 403
    assert page.post(reverse("admin_remove", args=[admin.username])).status_code == 403
    assert names() == [admin.username]


def test_names_that_nobody_has_and_unproven_addresses_are_refused(as_user, admin, make_user):
    unproven = make_user("uma", verified=False)
    for name in ("nobody", unproven.username):
        assert as_user(admin).post(reverse("admin_add"), {"username": name}).status_code == 200
    assert names() == [admin.username]
