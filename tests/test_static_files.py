"""Static files are collected when one of them has changed, and not at every start."""

import os

import pytest

from mlteam import static_files


@pytest.fixture
def source(tmp_path, settings, monkeypatch):
    """A page's script, which alone is to be collected; `ran` says how often it was."""
    (tmp_path / "sources").mkdir()
    script = tmp_path / "sources" / "page.js"
    script.write_text("one")
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATICFILES_DIRS = [tmp_path / "sources"]
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    return script


def test_what_has_changed_is_collected_and_only_then(source, settings):
    kept = settings.STATIC_ROOT / "page.js"
    static_files.collect()
    assert kept.read_text() == "one"
    kept.write_text("here")
    static_files.collect()
    assert kept.read_text() == "here"
    source.write_text("two")
    os.utime(source, ns=(0, kept.stat().st_mtime_ns + 10**9))
    static_files.collect()
    assert kept.read_text() == "two"


def test_a_collection_that_was_cut_off_is_made_again(source, settings, monkeypatch):
    def fail(*_, **__):
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(static_files, "call_command", fail)
        with pytest.raises(OSError):
            static_files.collect()
    static_files.collect()
    assert (settings.STATIC_ROOT / "page.js").read_text() == "one"
