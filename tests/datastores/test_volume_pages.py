"""Pages of volumes."""

import html
import os
from urllib.parse import urlencode

import pytest
from django.urls import reverse

from datastores import actions, pages, volumes
from datastores.models import Datastore
from tests.datastores import names
from tests.datastores.conftest import body_of
from tests.datastores.pushing import begin, manifest, push

pytestmark = pytest.mark.django_db

MIB = 2**20


@pytest.fixture
def volume(project, owner) -> Datastore:
    """Of 10 MiB: a text, a table, a folder with one file, and what is nothing of these."""
    made = actions.create(project=project, kind="volume", name="scratch", quota=10 * MIB, by=owner)
    root = volumes.root_of(made)
    (root / "deep").mkdir()
    (root / "deep" / "a b ü?.txt").write_text("<b>inside</b>")
    (root / "table.csv").write_text("name,size\nada,7\n")
    (root / "link").symlink_to("/etc/passwd")
    os.mkfifo(root / "fifo")
    (root / os.fsdecode(b"bad\xff")).touch()
    volumes.measure(made)
    return made


def at(name: str, volume: Datastore, **more) -> str:
    return reverse(f"datastores:{name}", kwargs={"slug": "vision", "datastore_id": volume.pk, **more})


def text_of(response) -> str:
    assert response.status_code == 200, response
    return response.content.decode()


def test_a_volume_is_walked_through(volume, viewer, as_user):
    browser = as_user(viewer)
    page = browser.get(at("detail", volume))
    kinds = {one["name"]: one["kind"] for one in page.context["children"]}
    assert kinds == {"bad\\xff": "file", "deep": "directory", "fifo": "other", "link": "link", "table.csv": "file"}
    assert "10.0 MiB" in text_of(page) and "Remove" not in text_of(page) and "Upload" not in text_of(page)
    inside = browser.get(at("detail", volume), {"path": "deep"})
    assert inside.context["crumbs"] == [("deep", f"{at('detail', volume)}?path=deep")]
    (child,) = inside.context["children"]
    assert "&lt;b&gt;inside&lt;/b&gt;" in text_of(browser.get(child["url"]))
    assert browser.get(at("volume_show", volume, path="table.csv")).context["table"].rows == [["ada", "7"]]
    for wrong in ("link", "fifo", "deep", "nothing", "deep/../table.csv"):
        assert browser.get(at("volume_show", volume, path=wrong)).status_code == 404
        assert browser.get(at("volume_file", volume, path=wrong)).status_code == 404
    for wrong in ("nothing", "../x", "link", "table.csv"):
        assert browser.get(at("detail", volume), {"path": wrong}).status_code == 404


def test_a_long_folder_of_a_volume_has_pages(volume, owner, as_user, monkeypatch):
    monkeypatch.setattr(pages, "CHILDREN", 2)
    browser, seen, address = as_user(owner), [], at("detail", volume)
    while address:
        page = browser.get(address)
        seen += [one["name"] for one in page.context["children"]]
        address = page.context["older"]
    assert len(seen) == 5 and len(set(seen)) == 5


def test_what_is_in_a_volume_is_downloaded(volume, viewer, as_user):
    browser = as_user(viewer)
    answer = browser.get(at("volume_file", volume, path="deep/a b ü?.txt"))
    assert body_of(answer) == b"<b>inside</b>" and answer["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer["Content-Security-Policy"]
    shown = browser.get(at("volume_file", volume, path="table.csv"), {"shown": "1"})
    assert shown["Content-Disposition"].startswith("attachment")
    assert body_of(browser.get(at("volume_archive", volume), {"path": "deep"})).startswith(b"PK")
    assert browser.get(at("volume_archive", volume), {"path": "nothing"}).status_code == 404


def test_a_folder_is_made_and_content_is_removed(volume, owner, viewer, as_user):
    browser, root = as_user(owner), volumes.place_of(volume)
    assert as_user(viewer).post(at("new_folder", volume), {"path": "x"}).status_code == 403
    made = browser.post(at("new_folder", volume), {"path": "runs/neu ß/"})
    assert made.url == f"{at('detail', volume)}?path=runs%2Fneu+%C3%9F" and (root / "runs" / "neu ß").is_dir()
    assert "is empty" in text_of(browser.get(made.url))
    for wrong in ("../x", "", "table.csv/x", "a//b"):
        assert "message error" in text_of(browser.post(at("new_folder", volume), {"path": wrong}, follow=True))
    remove = at("remove_content", volume)
    assert "with all that is in it" in text_of(browser.get(remove, {"path": "runs"}))
    assert as_user(viewer).post(remove, {"path": "runs"}).status_code == 403
    assert browser.post(remove, {"path": "runs/neu ß"}).url == f"{at('detail', volume)}?path=runs"
    assert browser.post(remove, {"path": "runs"}).url == at("detail", volume) and not (root / "runs").exists()
    assert browser.post(remove, {"path": "link"}).status_code == 302 and not (root / "link").is_symlink()
    assert "gone already" in text_of(browser.post(remove, {"path": "nothing"}, follow=True))
    assert browser.post(remove, {"path": "../x"}).status_code == 404


def walked(browser, address: str) -> dict[str, dict]:
    """All files that are reached from a page, by their paths."""
    page, found = browser.get(address), {}
    assert page.status_code == 200, address
    for child in page.context["children"]:
        found |= {child["path"]: child} if child["kind"] == "file" else walked(browser, child["url"])
    return found


def test_files_of_any_name_are_reached_shown_downloaded_and_removed(volume, owner, as_user):
    browser, root, detail = as_user(owner), volumes.place_of(volume), at("detail", volume)
    actions.remove_content(datastore=volume, path=".", by=owner)
    files = names.write_all(root) | names.write_odd(root)
    found = walked(browser, detail)
    assert found.keys() == files.keys()
    for path, child in found.items():
        page = browser.get(child["url"])
        assert (page.context["name"], page.context["file"].size) == (path.rpartition("/")[2], len(files[path])), path
        assert body_of(browser.get(page.context["download"])) == files[path]
        assert browser.get(page.context["back"]).status_code == 200
        folder = path.rpartition("/")[0]
        shown = text_of(browser.get(page.context["back"]))
        assert f'name="path" value="{html.escape(path, quote=True)}"' in shown, path
        asked = text_of(browser.get(at("remove_content", volume), {"path": path}))
        assert f"Remove {html.escape(path)}?" in asked and f'value="{html.escape(path)}"' in asked
        gone = browser.post(at("remove_content", volume), {"path": path}, follow=True)
        assert f"{html.escape(path.rpartition('/')[2])} is gone." in text_of(gone)
        assert gone.redirect_chain[0][0] == (f"{detail}?{urlencode({'path': folder})}" if folder else detail)
    assert not walked(browser, detail)


def test_a_folder_whose_name_is_no_text_takes_no_uploads(volume, owner, as_user):
    browser, root = as_user(owner), volumes.place_of(volume)
    for name in (b"odd\n", b"odd\xff", b" plain "):
        (root / os.fsdecode(name)).mkdir()
        (root / os.fsdecode(name) / "x").touch()
    for path in ("odd\\x0a", "odd\\xff"):
        page = text_of(browser.get(at("detail", volume), {"path": path}))
        assert ">Upload</a>" not in page and "New folder" not in page and "a line break" in page
    plain = browser.get(at("detail", volume), {"path": " plain "})
    assert ">Upload</a>" in text_of(plain) and "a line break" not in text_of(plain)
    assert browser.post(at("new_folder", volume), {"path": " plain /new "}).status_code == 302
    assert (root / " plain " / "new").is_dir()
    assert "control character" in text_of(browser.post(at("new_folder", volume), {"path": "a\\x0ab"}, follow=True))


def test_all_content_is_removed_by_whoever_types_the_name(volume, owner, as_user):
    browser, remove = as_user(owner), at("remove_content", volume)
    assert "to confirm" in text_of(browser.get(remove, {"path": "."}))
    for typed in ("", "something"):
        assert 'aria-invalid="true"' in text_of(browser.post(remove, {"path": ".", "confirm": typed}))
    assert list(volumes.place_of(volume).iterdir())
    assert browser.post(remove, {"path": ".", "confirm": "scratch"}).url == at("detail", volume)
    assert not list(volumes.place_of(volume).iterdir())


def test_the_page_says_how_full_it_is(volume, owner, as_user):
    browser = as_user(owner)
    assert "nearly full" not in text_of(browser.get(at("detail", volume)))
    for bytes_there, said in ((9.5, "nearly full"), (10, "It is full")):
        (volumes.place_of(volume) / "big").write_bytes(bytes(int(bytes_there * MIB)))
        volumes.measure(volume)
        assert said in text_of(browser.get(at("detail", volume)))


def test_a_volume_is_created_with_a_quota_and_given_another(project, owner, as_user):
    browser, new = as_user(owner), reverse("datastores:new", args=[project.slug])
    made = {"kind": "volume", "name": "home", "quota": "100"}
    assert "Ensure this value" in text_of(browser.post(new, made | {"quota": "0"}))
    browser.post(new, made)
    volume = Datastore.objects.get()
    assert volume.quota == 100 * 2**30 and 'value="100"' in text_of(browser.get(at("edit", volume)))
    browser.post(at("edit", volume), {"name": "home", "description": "mine", "quota": "1.5"})
    volume.refresh_from_db()
    assert (volume.quota, volume.description) == (3 * 2**29, "mine")
    browser.post(new, {"kind": "dataset", "name": "faces", "quota": "5"})
    dataset = Datastore.objects.get(name="faces")
    assert dataset.quota is None and "quota" not in text_of(browser.get(at("edit", dataset)))
    listed = text_of(browser.get(reverse("datastores:list", args=[project.slug]), {"kind": "volume"}))
    assert "home" in listed and "faces" not in listed


def test_files_are_dropped_into_a_folder_of_a_volume(volume, owner, viewer, as_user):
    browser = as_user(owner)
    page = text_of(browser.get(at("upload", volume), {"path": "deep"}))
    assert 'data-folder="deep"' in page and "Upload to deep" in page and "Note" not in page
    assert as_user(viewer).get(at("upload", volume)).status_code == 403
    upload = begin(volume, manifest({"deep/new": b"1"}), owner).upload
    assert "Go on or abandon it" in text_of(browser.get(at("detail", volume)))
    assert browser.post(at("abandon", volume, upload_id=upload.pk)).status_code == 302


def test_pages_of_volumes_are_none_of_datasets_and_the_other_way_round(volume, dataset, owner, as_user):
    push(dataset, {"a": b"1"}, owner)
    browser = as_user(owner)
    assert browser.get(at("compare", volume)).status_code == 404
    assert browser.get(at("version", volume, number=1)).status_code == 404
    assert browser.get(at("volume_show", dataset, path="a")).status_code == 404
    assert browser.get(at("remove_content", dataset), {"path": "a"}).status_code == 404
