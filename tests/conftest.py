"""The fixed cast, and the rules that hold for every test."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management.commands import flush
from django.db import connection
from django.test import Client

from accounts import actions as accounts
from accounts.models import User
from projects import actions, keeping, links
from projects.levels import PRESETS
from projects.models import Member, Project
from tests.server import migrated

PASSWORD = "a long enough password"


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Whether the test database is there before the tests: on SQLite it is copied. On PostgreSQL it is made after a migrated one."""
    return connection.vendor == "sqlite"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings, django_db_keepdb):
    """Puts a migrated database where Django looks for the one to keep."""
    if django_db_keepdb:
        shutil.copyfile(migrated(), connection.creation._get_test_db_name())


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """The test database; threads of asynchronous tests may still be connected to it when it is to be removed."""
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            cursor.execute(f"SELECT pg_terminate_backend(pid) {others}")


WITH_THE_TABLES = {"django_content_type", "auth_permission"}  # what a migration fills, and nothing else changes


@pytest.fixture(scope="session", autouse=True)
def _tables_may_be_emptied():
    """After a test that commits, all tables are emptied but those that would only be filled again as they were, which takes longest.

    The guard of the audit trail is taken down for that.
    """

    def emptying(style, connection, **options):
        tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False))
        tables -= WITH_THE_TABLES
        if connection.vendor == "postgresql":  # where TRUNCATE, which makes hundreds of files anew, takes a second
            rows = [f'DELETE FROM "{table}"' for table in sorted(tables)]
            return ["SET LOCAL session_replication_role = replica", *rows]  # so that no trigger asks
        keeping.take_down(connection.alias)
        return connection.ops.sql_flush(style, sorted(tables), **options)

    def guard_again(verbosity, interactive, database):
        keeping.put_up(using=database)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", emptying)
        patch.setattr(flush, "emit_post_migrate_signal", guard_again)
        yield


@pytest.fixture
def make_user(db) -> Callable[..., User]:
    """make_user("ada") makes an account with a proven address; verified=False leaves it unproven."""

    def make(username: str, *, email: str = "", verified: bool = True, admin: bool = False, name: str = "") -> User:
        return accounts.create_account(
            email=email or f"{username}@example.com",
            username=username,
            name=name,
            password=PASSWORD,
            verified=verified,
            admin=admin,
        )

    return make


@pytest.fixture
def join() -> Callable[..., Member]:
    """join(project, user, "Viewer") or join(project, user, levels) makes a member through an invitation."""

    def make(project: Project, user: User, levels: str | dict[str, str] = "Collaborator") -> Member:
        chosen = PRESETS[levels] if isinstance(levels, str) else levels
        offer = actions.invite(project=project, email=user.email, levels=chosen, by=project.owner)
        actions.accept(token=links.token_of(offer, links.EMAILED), by=user)
        return Member.objects.get(project=project, user=user)

    return make


@pytest.fixture
def owner(make_user) -> User:
    """Owns `project`."""
    return make_user("olga", name="Olga Owner")


@pytest.fixture
def project(owner) -> Project:
    """The project of the cast, with its owner only; the others join as their fixtures are asked for."""
    return actions.create(name="Vision", by=owner)


@pytest.fixture
def collaborator(make_user, project, join) -> User:
    """Member: jobs all, the rest read."""
    return join(project, make_user("carl"), "Collaborator").user


@pytest.fixture
def teammate(make_user, project, join) -> User:
    """Member: own on everything."""
    return join(project, make_user("tess"), "Teammate").user


@pytest.fixture
def viewer(make_user, project, join) -> User:
    """Member: read on everything."""
    return join(project, make_user("vera"), "Viewer").user


@pytest.fixture
def stranger(make_user) -> User:
    """An account that has nothing to do with the project."""
    return make_user("stan")


@pytest.fixture
def removed(make_user, project, join) -> User:
    """Was a member with every level, and is none any more."""
    member = join(project, make_user("remy"), "Full")
    actions.remove_member(member=member, by=project.owner)
    return member.user


@pytest.fixture
def admin(make_user) -> User:
    """The installation's admin, member of nothing."""
    return make_user("anna", admin=True)


@pytest.fixture
def as_user() -> Callable[[User | None], Client]:
    """as_user(user) is a browser in which the user is signed in; None for nobody."""

    def sign_in(user: User | None) -> Client:
        client = Client()
        if user is not None:
            client.force_login(user, backend="accounts.backends.Backend")
        return client

    return sign_in


WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")
SESSIONS = "django_session"


@contextmanager
def no_writes() -> Iterator[None]:
    """Refuses statements that write, but for Django's own session."""

    def refuse(execute, sql, params, many, context):
        assert not sql.lstrip().upper().startswith(WRITES) or SESSIONS in sql, f"a GET wrote: {sql}"
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        yield


@pytest.fixture
def read_only():
    """`with read_only():` refuses every write to the database."""
    return no_writes


@pytest.fixture
def as_nobody():
    """with as_nobody(directory): as a user to whom modes apply, also where the tests are root's, and who may come to the directory."""

    @contextmanager
    def be(directory: Path) -> Iterator[None]:
        if os.geteuid():
            yield
            return
        opened = {one: one.stat().st_mode for one in directory.parents if not one.stat().st_mode & 0o001}
        group = os.getegid()
        for one in opened:
            one.chmod(opened[one] | 0o011)
        for folder, _, files in os.walk(directory):
            for one in (folder, *(f"{folder}/{name}" for name in files)):
                os.lchown(one, 65534, 65534)
        os.setegid(65534)
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(group)
            for one, mode in opened.items():
                one.chmod(mode)

    return be
