"""The first rows of a Parquet file, as JSON: run as a program of its own, which knows nothing of mlteam and asks for each part of the
file. On stdin: the file's size in a line, then to each question so many bytes, after a line that says how many. On stdout: lines of
JSON, [start, length] for each question and the table in the end."""

import io
import json
import os
import resource
import sys
from importlib import import_module
from typing import IO, Any, Final

ROWS: Final = 100
COLUMNS: Final = 50
CELL: Final = 200  # characters
MEMORY: Final = 2**30  # bytes of addresses that reading may take
CPU: Final = 5  # seconds
FILES: Final = 32  # that it may have open
NOBODY: Final = 65534
VALUES: Final = ("datetime", "decimal", "zoneinfo", "uuid")  # modules of which values may be
AHEAD: Final = 64 * 1024  # bytes that are asked for at once, at least


class Asked(io.RawIOBase):
    """The file, of which each part is asked for as it is wanted."""

    def __init__(self, size: int, answers: IO[bytes], questions: IO[str]) -> None:
        self._size, self._answers, self._questions = size, answers, questions
        self._at, self._start, self._held = 0, 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def read(self, length: int | None = -1) -> bytes:
        wanted = self._size - self._at if length is None or length < 0 else length
        wanted = max(0, min(wanted, self._size - self._at))
        if not self._start <= self._at <= self._at + wanted <= self._start + len(self._held):
            self._start = max(0, min(self._at, self._size - AHEAD))
            self._held = self._ask(self._start, max(self._at + wanted - self._start, AHEAD))
        begin = self._at - self._start
        found = self._held[begin : begin + wanted]
        self._at += len(found)
        return found

    def readinto(self, buffer: Any) -> int:
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def _ask(self, start: int, length: int) -> bytes:
        self._questions.write(f"{json.dumps([start, min(length, self._size - start)])}\n")
        self._questions.flush()
        return self._answers.read(int(self._answers.readline()))


def head(reader: Any) -> dict[str, Any]:
    """The beginning of a table that is read batch by batch: columns, kinds, rows, more_columns, more_rows."""
    schema = reader.schema
    fields = [schema.field(number) for number in range(min(COLUMNS, len(schema.names)))]
    batch = next(iter(reader), None)
    length = min(ROWS, batch.num_rows) if batch is not None else 0
    parts = (
        [_values(batch.column(number).slice(0, length), length) for number in range(len(fields))]
        if batch is not None
        else []
    )
    return {
        "columns": [_cell(one.name) for one in fields],
        "kinds": [_cell(str(one.type).removeprefix("arro3.core.DataType").strip("<>\n -")) for one in fields],
        "rows": [[_cell(column[row]) for column in parts] for row in range(length)],
        "more_columns": len(schema.names) > COLUMNS,
        "more_rows": batch is not None and batch.num_rows > ROWS,
    }


def _values(column: Any, length: int) -> list[Any]:
    try:
        return list(column.to_pylist())
    except (
        BaseException
    ):  # of a type that Python has not, or a time zone that this host has not: such as no Exception is
        return ["(of a kind that is not shown)"] * length


def _cell(value: Any) -> str | None:
    """A value as a short text; None for none."""
    if value is None:
        return None
    if isinstance(value, bytes):
        text = f"{len(value)} bytes: {value[: CELL // 4].hex()}"
    elif isinstance(value, list):
        text = (
            "["
            + ", ".join("null" if one is None else str(one)[:CELL] for one in value[:CELL])
            + ("]" if len(value) <= CELL else ", …")
        )
    else:
        text = str(value)
    text = text.encode(errors="replace").decode()
    return text[:CELL] + "…" * (len(text) > CELL)


def _give_up_rights() -> None:
    """From here on this process can do nothing but work and ask: whoever wrote the file may have found an error in its reader."""
    limits = {resource.RLIMIT_AS: MEMORY, resource.RLIMIT_CPU: CPU, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    limits[resource.RLIMIT_NOFILE] = FILES
    for limit, most in limits.items():
        resource.setrlimit(limit, (most, most))
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


if __name__ == "__main__":
    from arro3.io import read_parquet

    for module in VALUES:
        import_module(module)
    _give_up_rights()  # Python itself may lie where nobody can read
    file: Any = Asked(int(sys.stdin.buffer.readline()), sys.stdin.buffer, sys.stdout)
    sys.stdout.write(json.dumps(head(read_parquet(file, batch_size=ROWS + 1))) + "\n")
