"""Versions as directories from which jobs read."""

import os

import pytest

from datastores import actions, blobs, checks, hints, listings, paths, tasks, trees
from tests.datastores import names
from tests.datastores.pushing import hash_of, push


def test_the_longest_and_the_deepest_path_are_laid_out_and_taken_away(dataset, owner):
    files = {names.LONGEST_PATH: b"long", names.DEEPEST: b"deep"}
    assert len(names.DEEPEST) == paths.LONGEST
    version = push(dataset, files, owner)
    assert trees.lay_out(version)
    tree = trees.place_of(version)
    assert {path: (tree / path).read_bytes() for path in files} == files
    actions.remove(datastore=dataset, by=owner)
    trees.tidy()
    assert not tree.exists()


@pytest.mark.django_db(transaction=True)
def test_what_was_damaged_and_comes_again_is_what_jobs_read(dataset, project, owner, kept, monkeypatch):
    asked = []
    monkeypatch.setattr(hints, "mend", lambda *healed: asked.append(healed))
    version, other = (push(dataset, {"deep/a": b"first", name: b"second"}, owner) for name in ("b", "c"))
    assert trees.lay_out(version) and trees.lay_out(other)
    (kept.root / blobs.key_of(project.pk, hash_of(b"first"))).write_bytes(
        b"f1rst"
    )  # what jobs read is a second name of it
    places = [trees.place_of(one) / "deep/a" for one in (version, other)]
    if kept.root.stat().st_dev == places[0].stat().st_dev:
        assert places[0].read_bytes() == b"f1rst"
    assert checks.run(whole=True).damaged and not asked
    push(dataset, {"again": b"first"}, owner)
    assert asked == [(project.pk, [hash_of(b"first")])]
    tasks.mend(*asked[0])
    assert [place.read_bytes() for place in places] == [b"first", b"first"]
    assert {oct(place.stat().st_mode & 0o777) for place in places} == {"0o444"}
    assert {one.name for one in trees.place_of(version).parent.iterdir()} >= {version.digest, other.digest}
    assert not [one for one in trees.place_of(version).parent.iterdir() if "mended" in one.name]


@pytest.mark.django_db(transaction=True)
def test_what_was_restored_is_what_jobs_read(dataset, project, owner, kept, tmp_path):
    version = push(dataset, {"a": b"first"}, owner)
    assert trees.lay_out(version)
    file, restored = kept.root / blobs.key_of(project.pk, hash_of(b"first")), tmp_path / "restored"
    file.write_bytes(b"f1rst")
    assert checks.run(whole=True).damaged
    restored.write_bytes(b"first")
    restored.replace(file)
    assert checks.run().healed and (trees.place_of(version) / "a").read_bytes() == b"first"


@pytest.mark.slow
def test_a_version_of_100_000_files_is_listed_and_laid_out(dataset, owner):
    files = {f"{number % 100}/{number // 100 % 10}/{number}": b"%d" % (number % 100) for number in range(100_000)}
    version = push(dataset, files, owner)
    with listings.opened(listings.of(version)) as listing:
        assert {entry.path: entry.size for entry in listing.entries(0, version.files)} == {
            path: len(content) for path, content in files.items()
        }
    assert trees.lay_out(version)
    tree = trees.place_of(version)
    assert sum(len(found) for _, _, found in os.walk(tree)) == len(files)
    assert (tree / "99/9/99999").read_bytes() == b"99"
