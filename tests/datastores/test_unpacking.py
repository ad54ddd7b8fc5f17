"""Archives of strangers: what comes out of them, and what does not."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import struct
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from datastores import unpacking
from datastores.blobs import Full
from datastores.unpacking import BadArchive, unpack
from tests.datastores import names

MIB = 2**20
OTHERS = (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)


def tar(path: Path, *members: tuple[str, bytes], mode: str = "w:gz", **how) -> Path:
    """A tar of files by content, or of other things by their type."""
    with tarfile.open(path, mode, **how) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content not in OTHERS:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content, "/etc/passwd"
                archive.addfile(info)
    return path


def zipped(path: Path, members: dict[str, bytes], *, links: tuple[str, ...] = ()) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        for name in links:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
    return path


def out(archive: Path, most: int = 10 * MIB) -> tuple[dict[str, bytes], unpacking.Unpacked]:
    to = archive.parent / "to"
    done = unpack(archive, to, most=most, note=lambda size: None)
    files = [one for one in to.rglob("*") if not one.is_dir()]
    assert not any(one.is_symlink() for one in files)
    return {str(one.relative_to(to)): one.read_bytes() for one in files}, done


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.TGZ", "a.tar.bz2", "a.tar.xz", "a.zip"])
def test_files_come_out_under_their_names(tmp_path, name):
    files = {"a/b": b"abc", "A/b": b"case", "empty": b"", "\u00e9": b"nfc", "e\u0301": b"nfd"}
    assert unpacking.is_archive(name)
    if name.endswith(".zip"):
        zipped(tmp_path / name, files)
    else:
        kind = {"tgz": "gz", "tar": ""}.get(name.lower().rpartition(".")[2], name.rpartition(".")[2])
        tar(tmp_path / name, *((f"./{path}", content) for path, content in files.items()), mode=f"w:{kind}")
    found, done = out(tmp_path / name)
    assert found == files and (done.files, done.bytes, done.said) == (5, sum(map(len, files.values())), "")
    assert not unpacking.is_archive("model.npz")


def test_links_and_devices_are_left_out(tmp_path):
    others = [("l", tarfile.SYMTYPE), ("m", tarfile.LNKTYPE), ("n", tarfile.CHRTYPE), ("o", tarfile.FIFOTYPE)]
    made = tar(tmp_path / "a.tar.gz", ("dir", tarfile.DIRTYPE), ("dir/a", b"abc"), *others)
    found, done = out(made)
    assert found == {"dir/a": b"abc"} and done.said == "Left out of the archive: 2 links and 2 devices."


def test_links_in_a_zip_are_left_out(tmp_path):
    found, done = out(zipped(tmp_path / "a.zip", {"a": b"abc"}, links=("b",)))
    assert found == {"a": b"abc"} and done.said == "Left out of the archive: 1 link."


@pytest.mark.parametrize("name", ["../a", "/etc/a", "a/../../b", "a//b", "a\nb", "x" * 300, "./../a"])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    for made in (tar(tmp_path / "a.tar", (name, b"abc"), mode="w"), zipped(tmp_path / "b.zip", {name: b"abc"})):
        with pytest.raises(BadArchive, match="cannot be kept"):
            unpack(made, made.with_suffix(".to"), most=MIB, note=lambda size: None)
    assert not list(tmp_path.rglob("passwd")) and not (tmp_path / "a").exists()


def test_a_link_does_not_become_a_folder_to_write_through(tmp_path):
    made = tar(tmp_path / "a.tar", ("l", tarfile.SYMTYPE), ("l/a", b"abc"), mode="w")
    assert out(made)[0] == {"l/a": b"abc"}


def test_a_file_that_is_a_folder_too_is_refused(tmp_path):
    with pytest.raises(BadArchive, match="a folder of another"):
        out(tar(tmp_path / "a.tar", ("a", b"abc"), ("a/b", b"abc"), mode="w"))


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_bombs_do_not_go_off(tmp_path, name):
    zeros = bytes(20 * MIB)
    made = zipped(tmp_path / name, {"a": zeros}) if name == "a.zip" else tar(tmp_path / name, ("a", zeros))
    assert made.stat().st_size < MIB
    with pytest.raises(BadArchive, match=r"more than 10\.0 MiB"):
        out(made)
    assert sum(one.stat().st_size for one in (tmp_path / "to").rglob("*")) <= MIB


def test_a_zip_that_lies_about_its_sizes_is_found_out(tmp_path):
    made = zipped(tmp_path / "a.zip", {"a": bytes(20 * MIB)})
    content = made.read_bytes().replace(struct.pack("<L", 20 * MIB), struct.pack("<L", 5))
    made.write_bytes(content)
    with pytest.raises(BadArchive):
        out(made)
    assert sum(one.stat().st_size for one in (tmp_path / "to").rglob("*")) <= MIB


def test_what_a_tar_says_of_one_file_is_not_read_for_ever(tmp_path):
    info = tarfile.TarInfo("a")
    info.type, info.size = tarfile.XHDTYPE, 10**12
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(MIB))
    with pytest.raises(BadArchive, match="more about one of its files"):
        out(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar"])
def test_what_is_no_archive_or_is_cut_is_said(tmp_path, name):
    (tmp_path / name).write_bytes(os.urandom(3000))
    with pytest.raises(BadArchive, match="no such archive, or is damaged"):
        out(tmp_path / name)
    whole = (
        zipped(tmp_path / "b.zip", {"a": b"abc"})
        if "zip" in name
        else tar(tmp_path / "b.tar.gz", ("a", os.urandom(99999)))
    )
    whole.write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(BadArchive):
        unpack(whole, tmp_path / "to2", most=MIB, note=lambda size: None)


def test_nothing_in_it_and_encrypted_ones_are_said(tmp_path):
    with pytest.raises(BadArchive, match="no files"):
        out(tar(tmp_path / "a.tar", ("dir", tarfile.DIRTYPE), mode="w"))
    made = zipped(tmp_path / "b.zip", {"a": b"abc"})
    content = bytearray(made.read_bytes())
    for at in (6, content.index(b"PK\x01\x02") + 8):
        content[at] |= 1
    made.write_bytes(content)
    with pytest.raises(BadArchive, match="encrypted"):
        unpack(made, tmp_path / "to2", most=MIB, note=lambda size: None)


def test_a_disk_that_is_too_small_is_said_before(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking.room, "LEFT", 2**60)
    with pytest.raises(Full, match="needs 3 bytes"):
        out(zipped(tmp_path / "b.zip", {"a": b"abc"}))


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_every_name_comes_out_as_it_is(tmp_path, kind):
    files = {name: names.content(name) for name in names.NAMES}
    archive = tar(tmp_path / "a.tar.gz", *files.items()) if kind == "tar" else zipped(tmp_path / "a.zip", files)
    assert out(archive)[0] == files


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("name", [names.TOO_LONG, "/".join(["folder" * 40] * 17)])
def test_a_name_that_no_disk_takes_is_said(tmp_path, name, kind):
    archive = tar(tmp_path / "a.tar.gz", (name, b"x")) if kind == "tar" else zipped(tmp_path / "a.zip", {name: b"x"})
    with pytest.raises(unpacking.BadArchive, match="Rename it or leave it out") as raised:
        out(archive)
    assert len(str(raised.value)) < 300


THREE = {"one": b"1" * 700, "two": b"2" * 700, "three": b"3" * 700}  # a header and two blocks each
MEMBER = 3 * 512
END = 3 * MEMBER
PACK = {"tar": bytes, "tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress}


def three(**how) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", **how) as archive:
        for name, content in THREE.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def refused(path: Path, content: bytes, said: str) -> None:
    path.write_bytes(content)
    with pytest.raises(BadArchive, match=f"is damaged: .*{said}"):
        out(path)


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("length", [MEMBER, 2 * MEMBER, 2 * MEMBER + 100, 2 * MEMBER + 512, END - 1, END, END + 700])
def test_a_tar_that_is_cut_is_refused_wherever_that_is(tmp_path, kind, length):
    refused(tmp_path / f"a.{kind}", PACK[kind](three()[:length]), "")


@pytest.mark.parametrize("kind", PACK)
def test_a_header_that_is_damaged_is_not_the_end(tmp_path, kind):
    content = three()
    damaged = content[:MEMBER] + b"X" * 512 + content[MEMBER + 512 :]
    refused(tmp_path / f"a.{kind}", PACK[kind](damaged), "what a file begins with is damaged at byte 1,536")


def test_nothing_but_zeros_comes_after_the_end(tmp_path):
    hole = three()[:MEMBER] + bytes(512) + three()[MEMBER:]
    for number, content in enumerate((hole, three() + three(), three() + b"x")):
        (tmp_path / str(number)).mkdir()
        refused(tmp_path / str(number) / "a.tar", content, "more after its end")


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz"])
@pytest.mark.parametrize("lost", [1, 4, 8, 20])
def test_a_compressed_tar_is_read_to_its_very_end(tmp_path, kind, lost):
    refused(tmp_path / f"a.{kind}", PACK[kind](three())[:-lost], "its end is missing")


def test_the_sums_of_a_compressed_tar_are_compared(tmp_path):
    for kind, at in {"tar.gz": -8, "tar.bz2": -4, "tar.xz": -14}.items():
        content = bytearray(PACK[kind](three()))
        content[at] ^= 255
        (tmp_path / kind).mkdir()
        refused(tmp_path / kind / f"a.{kind}", bytes(content), "compression is damaged")


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_of_python_comes_out_with_any_padding(tmp_path, kind, form):
    whole = three(format=form)
    for number, content in enumerate((whole, whole[: END + 1024], whole[: END + 512], whole + bytes(3 * MIB + 7))):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / f"a.{kind}").write_bytes(PACK[kind](content))
        assert out(tmp_path / str(number) / f"a.{kind}")[0] == THREE


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz"])
def test_a_tar_that_was_compressed_in_pieces_comes_out(tmp_path, kind):
    whole, pack = three(), PACK[kind]
    (tmp_path / f"a.{kind}").write_bytes(b"".join(pack(whole[at : at + 1000]) for at in range(0, len(whole), 1000)))
    assert out(tmp_path / f"a.{kind}")[0] == THREE


def test_zeros_without_end_after_the_end_are_bounded(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(three() + bytes(20 * MIB)))
    with pytest.raises(BadArchive, match=r"more than 10\.0 MiB"):
        out(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("program", list(filter(shutil.which, ("tar", "bsdtar"))))
@pytest.mark.parametrize("form", ["ustar", "pax", "gnu", "v7"])
@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_archives_of_other_programs_come_out(tmp_path, program, form, kind):
    form = "gnutar" if (program, form) == ("bsdtar", "gnu") else form
    files = THREE | ({"deep/" * 30 + "x" * 90: b"deep"} if form not in {"v7", "ustar"} else {})
    for name, content in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_bytes(content)
    made = tmp_path / f"a.{kind}"
    subprocess.run([program, f"--format={form}", "-caf", made, "-C", tmp_path / "root", "."], check=True)
    assert out(made)[0] == files
