"""Versions as directories from which jobs read."""

import os

import pytest

from datastores import actions, listings, paths, trees
from tests.datastores import names
from tests.datastores.pushing import push


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
