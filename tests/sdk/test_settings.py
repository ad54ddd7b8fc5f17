"""Which server, token and project: what wins, and how files are kept."""

import json
import multiprocessing
import os
import stat

import pytest

HERE, THERE = "https://here.example", "https://there.example:8443"
ID, OTHER = "a" * 16, "b" * 16


@pytest.fixture
def settings():
    from mlteam_sdk import settings

    return settings


def test_nothing_is_known_at_first(settings):
    with pytest.raises(settings.SettingsError, match="mlteam login URL"):
        settings.load()


def test_a_login_is_used(settings, _nobody):
    assert settings.store_login(HERE + "/", "mlt_x", about={"user": "ada"}) == "default"
    found = settings.load()
    assert (found.url, found.token, found.project, found.source) == (HERE, "mlt_x", None, "personal")
    assert json.loads((_nobody / "credentials.json").read_text())["profiles"]["default"]["user"] == "ada"


def test_arguments_are_before_variables_and_variables_before_files(settings, monkeypatch):
    settings.store_login(HERE, "mlt_file")
    settings.store_project(settings.load(), ID)
    assert (settings.load().project, settings.load().source) == (ID, "file")
    monkeypatch.setenv("MLTEAM_PROJECT", OTHER)
    monkeypatch.setenv("MLTEAM_TOKEN", "mlt_env")
    assert (settings.load().project, settings.load().source) == (OTHER, "variable")
    assert settings.load().token == "mlt_env"
    found = settings.load(project="c" * 16, token="mlt_arg")
    assert (found.project, found.source, found.token) == ("c" * 16, "argument", "mlt_arg")


def test_a_token_is_used_only_for_the_server_that_gave_it(settings, monkeypatch):
    settings.store_login(HERE, "mlt_here")
    settings.store_project(settings.load(), ID)
    monkeypatch.setenv("MLTEAM_URL", THERE)
    found = settings.load()
    assert (found.url, found.token, found.project) == (THERE, None, None)
    with_profile = settings.load(profile="default")
    assert with_profile.token is None


def test_each_server_has_a_profile(settings, monkeypatch):
    settings.store_login(HERE, "mlt_here")
    settings.store_project(settings.load(), ID)
    assert settings.store_login(THERE, "mlt_there") == "there.example:8443"
    assert (settings.load().url, settings.load().token, settings.load().project) == (THERE, "mlt_there", None)
    settings.store_project(settings.load(), OTHER)
    assert settings.load().project == OTHER
    assert settings.load(url=HERE).token == "mlt_here"
    monkeypatch.setenv("MLTEAM_PROFILE", "default")
    assert (settings.load().url, settings.load().project) == (HERE, ID)
    assert settings.profiles() == {"default": HERE, "there.example:8443": THERE}


def test_signing_in_again_keeps_the_profile(settings):
    settings.store_login(HERE, "mlt_1")
    settings.store_login(THERE, "mlt_2", profile="work")
    assert settings.store_login(HERE, "mlt_3") == "default"
    assert settings.load().token == "mlt_3"


def test_a_profile_that_is_not_there_is_said(settings):
    settings.store_login(HERE, "mlt_1")
    with pytest.raises(settings.SettingsError, match="mlteam login URL --profile work"):
        settings.load(profile="work")


def test_forgetting_leaves_the_others(settings):
    settings.store_login(HERE, "mlt_1")
    settings.store_login(THERE, "mlt_2")
    settings.forget_login("there.example:8443")
    assert settings.load().url == HERE
    settings.forget_login("default")
    settings.forget_login("default")
    assert settings.profiles() == {}


def test_other_settings_stay_as_they_are(settings, _nobody):
    _nobody.mkdir()
    (_nobody / "config.json").write_text('{"colour": "blue", "profiles": {"work": {"x": 1}}}')
    settings.store_login(HERE, "mlt_1")
    settings.store_project(settings.load(), ID)
    held = json.loads((_nobody / "config.json").read_text())
    assert held == {"colour": "blue", "profiles": {"work": {"x": 1}}, "project": ID, "url": HERE}
    settings.store_project(settings.load(), None)
    assert json.loads((_nobody / "config.json").read_text()) == {"colour": "blue", "profiles": {"work": {"x": 1}}}


def test_a_project_that_the_seeds_files_name_is_used(settings, _nobody):
    settings.store_login(HERE, "mlt_1")
    (_nobody / "config.json").write_text(json.dumps({"project": ID}))
    assert settings.load().project == ID


def test_only_the_owner_reads_credentials(settings, _nobody):
    old = os.umask(0)
    try:
        settings.store_login(HERE, "mlt_1")
        assert stat.S_IMODE((_nobody / "credentials.json").stat().st_mode) == 0o600
        assert stat.S_IMODE(_nobody.stat().st_mode) == 0o700
    finally:
        os.umask(old)
    (_nobody / "credentials.json").chmod(0o644)
    settings.store_login(HERE, "mlt_2")
    assert stat.S_IMODE((_nobody / "credentials.json").stat().st_mode) == 0o600
    assert [path.name for path in _nobody.iterdir()] == ["credentials.json"]


def _store(name: str) -> None:
    from mlteam_sdk import settings

    settings.store_login(f"https://{name}.example", "mlt_1", profile=name)


def test_programs_that_sign_in_at_once_all_stay(settings):
    names = [f"p{number}" for number in range(8)]
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(_store, names)
    assert set(settings.profiles()) == set(names)


@pytest.mark.parametrize("text", ["[]", "{", "\xff"])
def test_a_file_that_cannot_be_read_is_named(settings, _nobody, text):
    _nobody.mkdir()
    (_nobody / "credentials.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(settings.SettingsError, match=r"credentials\.json"):
        settings.load(url=HERE)


@pytest.mark.parametrize(
    "url", ["here", "ftp://x", "https://", "https://u:p@x", "https://x/?a=b", "http://[", "http://x:99999"]
)
def test_what_is_no_address_is_said(settings, url):
    with pytest.raises(settings.SettingsError):
        settings.load(url=url)


def test_an_address_may_be_copied_from_anywhere(settings):
    assert settings.address(" https://x.example/mlteam/api/v1/ ") == "https://x.example/mlteam"


@pytest.mark.parametrize("token", ["mlt_\nX: y", "mlt ü"])
def test_what_is_no_token_is_said(settings, token):
    with pytest.raises(settings.SettingsError, match="Copy it again"):
        settings.load(url=HERE, token=token)


def test_the_directory_may_be_elsewhere(settings, tmp_path, monkeypatch):
    settings.store_login(HERE, "mlt_1", directory=tmp_path / "a" / "b")
    monkeypatch.setenv("MLTEAM_CONFIG_DIR", str(tmp_path / "a" / "b"))
    assert settings.load().url == HERE
