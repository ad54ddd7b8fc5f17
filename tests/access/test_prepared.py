"""Questions that are compiled once are answered like those that are not, and PostgreSQL keeps the plans of theirs."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from access.prepared import Prepared, planned_once
from billing.models import Price
from projects.models import Member, Project

on_postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="only PostgreSQL keeps plans")

NAMED = Prepared(
    lambda slugs, user: (
        Project.objects.filter(slug__in=slugs)
        .annotate(mine=Exists(Member.objects.filter(project=OuterRef("pk"), user=user)))
        .select_related("owner", "parent")
        .order_by("name")
    )
)


def test_models_come_with_all_that_the_queryset_adds(project, owner, collaborator, django_assert_num_queries):
    for user, mine in ((collaborator, True), (owner, False), (collaborator, True)):
        with django_assert_num_queries(1):
            (found,) = NAMED.objects(slugs=[project.slug], user=user.pk)
            assert (found, found.owner, found.parent, found.mine) == (project, owner, None, mine)
        assert found.created_at == Project.objects.get(pk=project.pk).created_at


def test_a_list_may_be_of_any_length(project, owner):
    personal = Project.objects.get(owner=owner, personal=True)
    for slugs, expected in (
        ([], []),
        ([project.slug], [project]),
        ([project.slug, personal.slug], [personal, project]),
    ):
        assert NAMED.objects(slugs=slugs, user=owner.pk) == expected
    many = [f"no-{number}" for number in range(100)]
    assert NAMED.objects(slugs=[*many, project.slug], user=owner.pk) == [project]
    assert NAMED.objects(slugs=[], user=owner.pk) == []


def test_a_list_may_be_of_numbers(db):
    groups = [Group.objects.create(name=f"group {number}") for number in range(3)]
    named = Prepared(
        lambda pks, names: Group.objects.filter(Q(pk__in=pks) | Q(name__in=names)).order_by("pk"), planned="once"
    )
    for _ in range(3):
        assert named.objects(pks=[groups[0].pk, groups[2].pk], names=["group 1"]) == groups
        assert named.objects(pks=[groups[1].pk, -1], names=[str(groups[0].pk)]) == [groups[1]]
    assert named.objects(pks=[], names=["group 2"]) == [groups[2]]
    assert named.objects(pks=list(range(groups[1].pk, groups[1].pk + 100)), names=[]) == groups[1:]


def test_what_a_value_says_is_never_part_of_the_question(project, owner):
    for text in ("' OR '1'='1", "%s", "%(slug)s", "\ue000user", project.slug.upper()):
        assert NAMED.objects(slugs=[text], user=owner.pk) == []


def test_values_of_any_kind_come_as_python_has_them(db):
    now = timezone.now()
    Price.objects.create(kind="cpu", amount=Decimal("0.25"), valid_from=now.date(), effective_from=now)
    prices = Prepared(lambda: Price.objects.values_list("amount", "effective_from"))
    assert prices.objects() == [(Decimal("0.25"), now)]
    assert prices.objects() == list(Price.objects.values_list("amount", "effective_from"))


@on_postgresql
def test_the_plan_of_a_question_is_kept_and_that_of_others_is_not(project, owner):
    for _ in range(4):
        assert NAMED.objects(slugs=[project.slug], user=owner.pk) == [project]
        assert Project.objects.get(slug=project.slug, owner=owner) == project
        with planned_once():
            assert list(Project.objects.filter(pk=project.pk, name="Vision")) == [project]
    assert len(_kept('AS "mine"')) == len(_kept('"name" = $')) == 1
    assert not _kept('"slug" = $')


@on_postgresql
def test_what_is_planned_anew_is_so_within_others_too(project):
    anew = Prepared(lambda slug: Project.objects.filter(slug=slug).values_list("lends_data"), planned="anew")
    with planned_once():
        for _ in range(4):
            assert anew.rows(slug=project.slug) == [(False,)]
            assert list(Project.objects.filter(pk=project.pk, name="Vision")) == [project]
    assert not _kept('"lends_data" FROM') and len(_kept('"name" = $')) == 1


@on_postgresql
def test_a_pooler_that_keeps_nothing_is_asked_to_keep_nothing(project, owner, monkeypatch):
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "prepare_threshold", None)
    for _ in range(4):
        assert NAMED.objects(slugs=[project.slug], user=owner.pk) == [project]
    assert not _kept('AS "mine"')


def _kept(word: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [sql for (sql,) in cursor.fetchall() if word in sql]
