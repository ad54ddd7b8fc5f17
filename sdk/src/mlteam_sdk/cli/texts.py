"""What others wrote, made safe for a terminal: names in tables, lines of logs."""

import codecs
import re
import sys
from collections.abc import Iterable
from typing import Final, TextIO

# Everything that is no text: C0 and C1 controls, and the marks that turn the direction of what follows.
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]")


def clean(text: str) -> str:
    """One line without anything that a terminal obeys; what was there is written as its code: \\x1b."""
    return _CONTROLS.sub(lambda found: _code(found[0]), text)


def clean_json(text: str) -> str:
    """The same for JSON text, which it stays: the codes are JSON's own."""
    return re.sub(
        "[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text
    )


def _code(character: str) -> str:
    number = ord(character)
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character)
    return short or (f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}")


def note(text: str) -> None:
    """Says something to who sits there; never on standard output."""
    sys.stderr.write("".join(f"{clean(line)}\n" for line in text.splitlines()))
    sys.stderr.flush()


_SEQUENCE: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI, of which colours are one
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"  # OSC and the other strings, with their end
    r"|\x1b[ -/]*[0-~]"  # two characters, and longer ones
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"  # what is left of controls; \t, \n and \r pass
)
_COLOUR: Final = re.compile(r"\x1b\[[0-9;:]*m\Z")
_BEGUN: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\x9c]{0,4096}\x1b?|[ -/]*)?\Z")
COLOURS_OFF: Final = "\x1b[0m"


class Screen:
    """Lets a log through to a terminal: text, colours, tabs, newlines and carriage returns, and nothing else that it obeys.

    Bytes come as they were written, cut anywhere; a sequence that is not whole yet waits for its rest.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, data: bytes, *, last: bool = False) -> str:
        """What may be shown by now; with `last` also what never became whole."""
        text = self._held + self._decoder.decode(data, last)
        begun = None if last else _BEGUN.search(text)
        text, self._held = (text[: begun.start()], text[begun.start() :]) if begun else (text, "")
        return _SEQUENCE.sub(lambda found: found[0] if _COLOUR.match(found[0]) else "", text)


def copy_log(pieces: Iterable[bytes], out: TextIO | None = None) -> None:
    """Writes a log as it comes: the bytes themselves to a file or a pipe, the safe part of them to a terminal."""
    out = out or sys.stdout
    if not out.isatty():
        for piece in pieces:
            out.buffer.write(piece)
            out.buffer.flush()
        return
    screen = Screen()
    try:
        for piece in pieces:
            _show(out, screen.feed(piece))
    finally:
        _show(out, screen.feed(b"", last=True) + COLOURS_OFF)


def _show(out: TextIO, text: str) -> None:
    out.write(text)
    out.flush()
