"""What files and descriptions are shown as, whatever somebody has put into them."""

import io
import zlib

import pytest
from django.urls import reverse

from datastores import markdown, parquet_head, previews
from tests.datastores.conftest import body_of
from tests.datastores.pushing import push

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
EVIL = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PEOPLE = "\ufeffname;size\n" + "".join(f'"<b>{n}</b>; and more";{n}\n' for n in range(150))


def parquet(rows: int = 150, **columns) -> bytes:
    from arro3.core import Array, DataType, Table
    from arro3.io import write_parquet

    made = {"number": Array(list(range(rows)), type=DataType.int64())}
    made |= {name: Array(values, type=getattr(DataType, kind)()) for name, (kind, values) in columns.items()}
    file = io.BytesIO()
    write_parquet(Table.from_pydict(made), file, compression="zstd(1)")
    return file.getvalue()


def head_of(content: bytes) -> previews.Table:
    return previews.parquet(len(content), lambda start, length: content[start : start + length])


# Markdown


def test_a_description_is_read_as_markdown():
    html = markdown.html("# Faces\n\nof **people**\n\n| a |\n|---|\n| 1 |\n\n- one\n\n`code`")
    assert "<h3>Faces</h3>" in html and "<strong>people</strong>" in html
    assert "<td>1</td>" in html and "<li>one</li>" in html and "<code>code</code>" in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt&#58;alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](https://example.org/spy.png)",
        "[![x](https://example.org/spy.png)](vbscript:x)",
        '[x](https://example.org "\\" onmouseover=alert(1) \\"")',
        "<https://example.org/\"onmouseover='alert(1)'>",
        "```<script>\n</script>\n```",
        "<div style='position:fixed'><form action=/>",
    ],
)
def test_nothing_acts_in_a_description_and_nothing_is_fetched_for_it(text):
    import nh3

    html = markdown.html(text)
    assert not {"<script", "<img", "<form", "<div", "<style"} & {
        f"<{part.split('>')[0].split()[0]}" for part in html.split("<")[1:] if part
    }
    assert 'href="javascript' not in html.lower() and 'href="data' not in html and 'href="vb' not in html
    assert nh3.clean(html, link_rel="nofollow noopener noreferrer") == html


def test_links_of_a_description_are_not_followed_by_those_who_count():
    assert 'rel="nofollow noopener noreferrer"' in markdown.html("[x](https://example.org)")
    assert markdown.html("![a *face*](https://example.org/x.png)").count("<a ") == 1


# Tables


@pytest.mark.django_db
def test_the_beginning_of_a_table_is_shown(dataset, owner, as_user):
    files = {
        "a.csv": PEOPLE.encode(),
        "b.tsv": b"x\ty\n1\t2\n",
        "c.parquet": parquet(),
        "d.csv": b"\0\xff\xfe",
        "e.csv": b"",
    }
    push(dataset, files, owner)
    browser = as_user(owner)

    def table_of(path: str, **query):
        answer = browser.get(reverse("datastores:show", args=["vision", dataset.pk, 1, path]), query)
        assert answer.status_code == 200
        return answer.context["table"], answer.content.decode()

    table, page = table_of("a.csv")
    assert table.columns == ["name", "size"] and len(table.rows) == parquet_head.ROWS and table.more_rows
    assert table.rows[7] == ["<b>7</b>; and more", "7"] and "&lt;b&gt;7&lt;/b&gt;" in page and "<b>7" not in page
    assert table_of("a.csv", **{"as": "text"})[0] is None
    assert table_of("b.tsv")[0].rows == [["1", "2"]]
    table, page = table_of("c.parquet")
    assert table.rows[99] == ["99"] and table.kinds == ["Int64"] and "100 rows" in page
    assert table_of("d.csv")[0] is None and table_of("e.csv")[0] is None


def test_a_parquet_file_is_read_at_its_end_and_its_beginning_only():
    content = parquet(300_000, text=("utf8", [f"{n} {zlib.crc32(b'%d' % n)}" for n in range(300_000)]))
    asked: list[tuple[int, int]] = []

    def read(start: int, length: int) -> bytes:
        asked.append((start, length))
        return content[start : start + length]

    table = previews.parquet(len(content), read)
    assert table.columns == ["number", "text"] and table.rows[1] == ["1", f"1 {zlib.crc32(b'1')}"]
    assert sum(length for _, length in asked) < len(content) / 2


def test_cells_are_short_and_say_when_there_is_none():
    table = head_of(parquet(2, text=("utf8", ["<b>" + "x" * 999, None]), data=("binary", [b"\0" * 99, None])))
    assert table.rows[0][1].startswith("<b>xxx") and len(table.rows[0][1]) == parquet_head.CELL + 1
    assert table.rows[1][1:] == [None, None] and table.rows[0][2].startswith("99 bytes: 0000")


def test_times_are_shown_as_people_write_them():
    from arro3.core import Array, DataType, Table
    from arro3.io import write_parquet

    moments = Array([0, 1_700_000_000_000_000, None], type=DataType.int64())
    zones = {"plain": None, "nowhere": "Nowhere/Else"}
    file = io.BytesIO()
    columns = {name: moments.cast(DataType.timestamp("us", tz=zone)) for name, zone in zones.items()}
    write_parquet(Table.from_pydict(columns), file)
    rows = head_of(file.getvalue()).rows
    assert rows[1][0] == "2023-11-14 22:13:20" and rows[2][0] is None and "not shown" in rows[1][1]


def test_a_file_that_is_no_parquet_ends_nothing_but_its_reader():
    good = parquet()
    cuts = [b"", b"PAR1", good[:-1], good[: len(good) // 2], b"PAR1" + b"\xff" * 200 + b"\xff\xff\xff\x7fPAR1"]
    for bad in cuts:
        with pytest.raises(previews.NoPreview, match="no Parquet file"):
            head_of(bad)


def test_a_reader_gets_no_more_of_a_file_than_it_may(monkeypatch):
    monkeypatch.setattr(previews, "READ", 100)
    with pytest.raises(previews.NoPreview):
        head_of(parquet())


# Images


@pytest.mark.django_db
def test_an_image_is_shown_and_no_other_file_is(dataset, owner, as_user):
    push(dataset, {"a.png": PNG, "b.svg": EVIL, "c.png": EVIL, "d.html": EVIL, "e.gif": PNG}, owner)
    browser = as_user(owner)

    def seen(path: str):
        return browser.get(reverse("datastores:file", args=["vision", dataset.pk, 1, path]), {"shown": "1"})

    image = seen("a.png")
    assert body_of(image) == PNG and image["Content-Type"] == "image/png" and "Content-Disposition" not in image.headers
    assert "sandbox" in image["Content-Security-Policy"] and image["X-Content-Type-Options"] == "nosniff"
    for path in ("b.svg", "c.png", "d.html", "e.gif"):
        other = seen(path)
        assert other["Content-Type"] == "application/octet-stream" and other["Content-Disposition"].startswith(
            "attachment"
        )
    page = browser.get(reverse("datastores:show", args=["vision", dataset.pk, 1, "b.svg"])).content.decode()
    assert "shown=1" not in page and "&lt;script&gt;" in page
