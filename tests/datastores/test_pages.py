"""Pages of datasets and models."""

import pytest
from django.urls import reverse

from datastores import actions, blobs, checks, pages, previews
from datastores.models import Datastore
from mlteam.one_thread import BrokenOff
from projects.levels import PRESETS
from tests.datastores.conftest import body_of
from tests.datastores.pushing import begin, hash_of, manifest, push

pytestmark = pytest.mark.django_db

FILES = {
    "README.md": "# Gesichter ß".encode(),
    "train/a b.txt": b"one <b>two</b>",
    "train/deep/x.bin": b"\xff\x00",
    "empty": b"",
    "<i>.txt": b"html",
}


@pytest.fixture
def version(dataset, owner):
    return push(dataset, FILES, owner, "the <first>")


def at(name: str, dataset: Datastore, **more) -> str:
    return reverse(f"datastores:{name}", kwargs={"slug": "vision", "datastore_id": dataset.pk, **more})


def text_of(response) -> str:
    assert response.status_code == 200, response
    return response.content.decode()


def test_an_empty_project_says_what_data_is(project, owner, viewer, as_user):
    address = reverse("datastores:list", args=[project.slug])
    assert "Create the first" in text_of(as_user(owner).get(address))
    assert "Your level lets you look" in text_of(as_user(viewer).get(address))


def test_the_list_is_searched_and_filtered(project, owner, viewer, as_user, dataset, version):
    actions.create(project=project, kind="model", name="net", description="of faces", by=owner)
    browser, address = as_user(viewer), reverse("datastores:list", args=[project.slug])

    def names(**query) -> list[str]:
        return [one.name for one in browser.get(address, query).context["datastores"]]

    assert names() == ["faces", "net"] and names(kind="model") == ["net"] and names(q="FACES") == ["faces", "net"]
    assert names(mine="1") == [] and "Nothing matches" in text_of(browser.get(address, {"q": "nothing"}))


def test_who_reads_only_models_sees_only_models(project, owner, join, make_user, as_user, dataset, version):
    net = actions.create(project=project, kind="model", name="net", by=owner)
    levels = {"job": "none", "dataset": "none", "model": "read", "volume": "none"}
    browser = as_user(join(project, make_user("mia"), levels).user)
    page = browser.get(reverse("datastores:list", args=[project.slug]))
    assert [one.name for one in page.context["datastores"]] == ["net"] and page.context["shell"].can["data"]
    assert browser.get(at("detail", net)).status_code == 200
    for page in (at("detail", dataset), at("version", dataset, number=1), at("file", dataset, number=1, path="empty")):
        assert browser.get(page).status_code == 404


def test_one_is_created_changed_and_removed(project, owner, as_user):
    browser = as_user(owner)
    new = reverse("datastores:new", args=[project.slug])
    assert "This field is required" in text_of(browser.post(new, {"kind": "dataset", "name": ""}))
    assert "Use no / @" in text_of(browser.post(new, {"kind": "dataset", "name": "a/b"}))
    assert "Select a valid choice" in text_of(browser.post(new, {"kind": "folder", "name": "home"}))
    made = browser.post(new, {"kind": "dataset", "name": "faces", "description": "<script>"})
    dataset = Datastore.objects.get()
    assert made.url == at("detail", dataset)
    page = text_of(browser.get(made.url))
    assert f"mlteam data push {dataset.pk} ./folder" in page and "<script>\n" not in page and "&lt;script&gt;" in page
    assert "datastore of this name" in text_of(browser.post(new, {"kind": "model", "name": "faces"}))
    edit = at("edit", dataset)
    assert browser.post(edit, {"name": "people", "description": "x"}).url == made.url
    assert "people" in text_of(browser.get(made.url))
    assert "cannot be undone" in text_of(browser.get(at("remove", dataset)))
    assert browser.post(at("remove", dataset)).url == reverse("datastores:list", args=[project.slug])
    assert browser.get(made.url).status_code == 404


def test_a_version_is_walked_through(viewer, as_user, dataset, version):
    browser = as_user(viewer)
    page = text_of(browser.get(at("detail", dataset)))
    assert "the &lt;first&gt;" in page and "&lt;i&gt;.txt" in page and "<i>.txt" not in page
    inside = browser.get(at("version", dataset, number=1), {"path": "train"})
    assert [one["name"] for one in inside.context["children"]] == ["a b.txt", "deep"]
    assert inside.context["crumbs"] == [("train", f"{at('version', dataset, number=1)}?path=train")]
    for child in inside.context["children"]:
        assert browser.get(child["url"]).status_code == 200
    for wrong in ("nothing", "../x", "README.md", "\0"):
        assert browser.get(at("version", dataset, number=1), {"path": wrong}).status_code in {400, 404}
    assert browser.get(at("version", dataset, number=2)).status_code == 404


def test_a_long_folder_has_pages(owner, as_user, dataset, monkeypatch):
    push(dataset, {f"{number:03}": b"x" for number in range(5)}, owner)
    monkeypatch.setattr(pages, "CHILDREN", 2)
    browser, seen, address = as_user(owner), [], at("detail", dataset)
    while address:
        page = browser.get(address)
        seen += [one["name"] for one in page.context["children"]]
        address = page.context["older"]
    assert seen == [f"{number:03}" for number in range(5)]
    assert text_of(browser.get(at("detail", dataset), {"page": "%%%"}))


def test_texts_are_shown_and_nothing_else(viewer, as_user, dataset, version, monkeypatch):
    browser = as_user(viewer)
    assert "# Gesichter ß" in text_of(browser.get(at("show", dataset, number=1, path="README.md")))
    assert "one &lt;b&gt;two" in text_of(browser.get(at("show", dataset, number=1, path="train/a b.txt")))
    assert "no text" in text_of(browser.get(at("show", dataset, number=1, path="train/deep/x.bin")))
    assert "is empty" in text_of(browser.get(at("show", dataset, number=1, path="empty")))
    assert browser.get(at("show", dataset, number=1, path="train")).status_code == 404
    monkeypatch.setattr(previews, "SHOWN", len(FILES["README.md"]) - 1)  # in the middle of a character
    page = text_of(browser.get(at("show", dataset, number=1, path="README.md")))
    assert "# Gesichter </pre>" in page and "Only the beginning" in page


def test_files_and_folders_are_downloaded(viewer, as_user, dataset, version):
    browser = as_user(viewer)
    answer = browser.get(at("file", dataset, number=1, path="<i>.txt"))
    assert body_of(answer) == b"html" and answer["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer["Content-Security-Policy"]
    assert body_of(browser.get(at("archive", dataset, number=1), {"path": "train"})).startswith(b"PK")
    assert browser.get(at("archive", dataset, number=1), {"format": "rar"}).status_code == 404


def test_versions_are_compared(owner, as_user, dataset, version):
    browser = as_user(owner)
    assert "Nothing to compare" in text_of(browser.get(at("compare", dataset)))
    push(dataset, FILES | {"empty": b"no more", "new": b""}, owner)
    assert "There is a newer one" in text_of(browser.get(at("version", dataset, number=1)))
    page = browser.get(at("compare", dataset))
    assert [(one.path, one.change) for one in page.context["changes"]] == [("empty", "changed"), ("new", "added")]
    assert "No difference" in text_of(browser.get(at("compare", dataset), {"old": "2", "new": "2"}))
    assert browser.get(at("compare", dataset), {"old": "9"}).status_code == 404


@pytest.fixture
def many(dataset, owner):
    """Seven versions, of which a list shows three."""
    for number in range(1, 8):
        push(dataset, {f"{number}.txt": str(number).encode()}, owner, f"note {number}")
    return dataset


def test_every_version_is_reached_from_the_page(viewer, as_user, many, monkeypatch):
    monkeypatch.setattr(pages, "BESIDE", 3)
    browser, address, seen = as_user(viewer), at("detail", many), []
    while address:
        page = browser.get(address)
        text_of(page)
        seen += [one.number for one in page.context["versions"]]
        address = page.context["beside"]["older"]
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    old = browser.get(at("version", many, number=2))
    assert [one.number for one in old.context["versions"]] == [2, 1] and "version 7</a>" in text_of(old)
    newer = browser.get(old.context["beside"]["newer"])
    assert [one.number for one in newer.context["versions"]] == [5, 4, 3]
    assert [one.number for one in browser.get(at("version", many, number=6)).context["versions"]] == [7, 6, 5]


def test_two_old_versions_are_compared(viewer, as_user, many, monkeypatch):
    monkeypatch.setattr(pages, "OFFERED", 3)
    browser = as_user(viewer)
    page = text_of(browser.get(at("compare", many), {"old": "1", "new": "2"}))
    assert 'name="old" type="number" min="1" max="7" value="1"' in page
    assert 'name="new" type="number" min="1" max="7" value="2"' in page
    assert '<option value="5"></option><option value="2"></option><option value="1"></option></datalist>' in page
    assert "version 1</a>" in page and "version 2</a>" in page and "2.txt" in page and "7.txt" not in page
    one_before = browser.get(at("compare", many), {"new": "4"})
    assert (one_before.context["old"].number, one_before.context["new"].number) == (3, 4)
    nothing = browser.get(at("compare", many), {"old": "2", "new": "88"})
    assert nothing.status_code == 404 and "has no version 88; the newest is 7" in nothing.content.decode()
    assert 'value="2"' in nothing.content.decode()


def test_a_browser_gets_no_rest_of_what_is_damaged_either(viewer, as_user, dataset, owner, kept):
    content = bytes(range(256)) * 4096 * 3
    push(dataset, {"large": content}, owner)
    browser, address = as_user(viewer), at("file", dataset, number=1, path="large")
    rest = browser.get(address, headers={"Range": "bytes=2000000-"})
    assert rest.status_code == 206 and body_of(rest) == content[2000000:]
    path = kept.root / blobs.key_of(dataset.project_id, hash_of(content))
    path.write_bytes(b"?" + content[1:])
    for headers in ({}, {"Range": "bytes=2000000-"}):
        with pytest.raises(BrokenOff, match="missing or damaged"):
            body_of(browser.get(address, headers=headers))


def test_what_is_lost_is_said_where_it_is(viewer, as_user, dataset, version, kept, owner):
    browser, path = as_user(viewer), kept.root / blobs.key_of(dataset.project_id, hash_of(b"html"))
    assert "notice error" not in text_of(browser.get(at("detail", dataset)))
    path.write_bytes(b"htm1")
    checks.run(whole=True)
    page = text_of(browser.get(at("detail", dataset)))
    assert "&lt;i&gt;.txt</a> (damaged)" in page and "heals every version" in page
    assert "This file is damaged on the server" in text_of(browser.get(at("show", dataset, number=1, path="<i>.txt")))
    path.unlink()
    lost = text_of(browser.get(at("show", dataset, number=1, path="<i>.txt")))
    assert "on the server" in lost and "Download</a>" not in lost
    assert browser.get(at("file", dataset, number=1, path="<i>.txt")).status_code == 410
    push(dataset, FILES, owner)
    assert "notice error" not in text_of(browser.get(at("detail", dataset)))


def test_the_next_version_is_dropped_on_a_page(owner, viewer, as_user, dataset):
    begin(dataset, manifest({"a": b"1", "b": b"22"}), owner)
    browser = as_user(owner)
    first = text_of(browser.get(at("detail", dataset)))
    assert "Upload as version 1" in first and "You began to send 2 files, 3 B" in first
    assert "No version yet" in text_of(as_user(viewer).get(at("detail", dataset)))
    push(dataset, FILES, owner)
    page = text_of(browser.get(at("upload", dataset)))
    assert "Upload as version 2" in page and "beside those of version 1" in page and "You began to send 2 files" in page
    assert at("upload", dataset) in text_of(browser.get(at("detail", dataset)))


def test_an_upload_is_abandoned_by_who_began_it_alone(owner, viewer, join, make_user, as_user, dataset):
    upload = begin(dataset, manifest({"a": b"1"}), owner).upload
    other = join(dataset.project, make_user("otto"), PRESETS["Full"]).user
    address = at("abandon", dataset, upload_id=upload.pk)
    assert as_user(other).post(address).status_code == 404 and as_user(viewer).post(address).status_code == 403
    assert "You began to send" not in text_of(as_user(other).get(at("upload", dataset)))
    assert as_user(owner).post(address).url == at("detail", dataset)
    assert not dataset.uploads.exists()


def test_a_description_is_seen_while_it_is_written(project, owner, stranger, as_user, dataset):
    actions.edit(datastore=dataset, description="# Of **people**", by=owner)
    browser, address = as_user(owner), reverse("datastores:description", args=[project.slug])
    assert "<h3>Of <strong>people</strong></h3>" in text_of(browser.get(at("edit", dataset)))
    assert "<em>new</em>" in text_of(browser.post(address, {"description": "*new*"}))
    assert "appears here" in text_of(browser.post(address, {"description": " "}))
    assert as_user(stranger).post(address).status_code == 404
