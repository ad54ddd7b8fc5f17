"""Trees that a job can write: nothing leads out of them, also while they change under our feet."""

import os
import threading

import pytest

from compute import trees


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "output"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "a.txt").write_text("a")
    (root / "deep" / "er" / "b.txt").write_text("bb")
    (tmp_path / "secret").write_text("secret")
    return root


def read(root, path):
    with trees.opened(root, path) as file:
        return file.read()


def test_regular_files_are_read(tree):
    assert read(tree, "deep/er/b.txt") == b"bb"


@pytest.mark.parametrize(
    "path", ["../secret", "/etc/passwd", "", ".", "deep", "nothing", "a.txt/x", "a\0b", "deep/../../secret", "n" * 300]
)
def test_everything_else_is_not_there(tree, path):
    with pytest.raises(trees.NotThere):
        read(tree, path)


def test_links_are_listed_and_never_followed(tree):
    (tree / "link").symlink_to(tree.parent / "secret")
    (tree / "up").symlink_to("..")
    kinds = {entry.path: entry.kind for entry in trees.walk(tree)}
    assert kinds == {"a.txt": "file", "deep/er/b.txt": "file", "link": "link", "up": "link"}
    for path in ("link", "up/secret"):
        with pytest.raises(trees.NotThere):
            read(tree, path)


def test_a_fifo_keeps_nobody_waiting(tree):
    os.mkfifo(tree / "fifo")
    with pytest.raises(trees.NotThere):
        read(tree, "fifo")


def test_a_directory_swapped_for_a_link_while_we_look_never_leads_out(tree):
    """The race that a job can run: it replaces a directory by a link to one outside, again and again."""
    outside = tree.parent / "outside"
    (outside / "er").mkdir(parents=True)
    (outside / "er" / "b.txt").write_text("secret")
    done = threading.Event()

    def swap():
        while not done.is_set():
            (tree / "deep").rename(tree / "aside")
            (tree / "deep").symlink_to(outside)
            (tree / "deep").unlink()
            (tree / "aside").rename(tree / "deep")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        found = {_read_or_nothing(tree) for _ in range(3000)}
    finally:
        done.set()
        swapper.join()
    assert found <= {b"bb", None}


def _read_or_nothing(tree):
    try:
        return read(tree, "deep/er/b.txt")
    except trees.NotThere:
        return None


def test_a_listing_is_bounded_in_number_and_depth(tree):
    for number in range(50):
        (tree / f"{number}").touch()
    deep = tree
    for _ in range(100):
        deep = deep / "d"
        deep.mkdir()
    (deep / "x").touch()
    assert len(list(trees.walk(tree, limit=10))) == 10
    assert all(entry.path.count("/") <= 64 for entry in trees.walk(tree))


@pytest.mark.parametrize(("mode", "named"), [(0o000, "deep/ "), (0o444, "deep/er "), (0o333, "deep/ ")])
def test_a_folder_that_cannot_be_read_is_named_where_nothing_may_be_left_out(as_nobody, tree, mode, named):
    (tree / "deep").chmod(mode)
    with as_nobody(tree):
        assert [entry.path for entry in trees.walk(tree)] == ["a.txt"]
        with pytest.raises(trees.NotThere, match=f"^{named}cannot be read: Permission denied"):
            list(trees.walk(tree, whole=True))


def test_what_cannot_be_entered_at_all_is_not_empty(as_nobody, tree):
    tree.chmod(0)
    with as_nobody(tree.parent), pytest.raises(trees.NotThere, match="cannot be read"):
        list(trees.walk(tree, whole=True))
    assert list(trees.walk(tree / "nothing", whole=True)) == []


def test_a_file_that_cannot_be_read_is_named_with_the_reason(as_nobody, tree):
    (tree / "a.txt").chmod(0)
    with as_nobody(tree), pytest.raises(trees.NotThere, match=r"^a\.txt cannot be read: Permission denied"):
        read(tree, "a.txt")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_handing_over_changes_links_not_their_targets(tree):
    (tree / "link").symlink_to(tree.parent / "secret")
    trees.hand_over(tree, 70_000)
    assert (tree / "deep" / "er" / "b.txt").stat().st_uid == 70_000
    assert (tree / "link").lstat().st_uid == 70_000
    assert (tree.parent / "secret").stat().st_uid == 0
