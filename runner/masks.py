"""Secrets in a stream of bytes, each replaced by as many stars.

Programs write base64 in lines. So a secret is also looked for in what is left of the stream without the line breaks of base64: one or two
bytes that end a line, behind at least LINE bytes of base64. Other lines are shown as soon as they are written.
"""

import binascii
import bisect

LINE = 64  # as in PEM; most others have 76
FEW = 32  # secrets: each costs a look at all the bytes; more are sorted out first
GRAM = 4  # bytes
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_KINDS = bytes(b"x"[0] if byte in _BASE64 else b"\n"[0] if byte in b"\r\n" else 0 for byte in range(256))


class Masks:
    """The secrets, given in base64. `longest` is how many bytes before a place can still matter for it."""

    def __init__(self, encoded):
        secrets = {binascii.a2b_base64(value) for value in encoded} - {b""}
        self.secrets = sorted(secrets, key=len, reverse=True)
        size = len(self.secrets[0]) if self.secrets else 0
        self.longest = size + 2 * (1 + size // LINE) + LINE if size else 0
        self.short = [one for one in self.secrets if len(one) < 2 * GRAM - 1]
        self.grams = _grams(one for one in self.secrets if len(one) >= 2 * GRAM - 1)

    def apply(self, before, data, *, final):
        """`data`, which follows on `before`, masked as far as it is decided.

        That is all but an end that may be the start of a secret, and all if it is `final`.
        """
        whole = before + data
        masked = bytearray(whole)
        undecided = 0
        for text, place in _readings(whole):
            for secret in self._possible(text):
                for at in _occurrences(text, secret):
                    start, end = place(at), place(at + len(secret) - 1) + 1
                    masked[start:end] = b"*" * (end - start)
            if not final and (beginning := self._undecided(text)):
                undecided = max(undecided, len(whole) - place(len(text) - beginning))
        return bytes(masked[len(before) : max(len(whole) - undecided, len(before))])

    def _possible(self, text):
        """The secrets that may be in it: of many, those of which four bytes are there, looked for at every fourth place."""
        if len(self.secrets) <= FEW:
            return self.secrets
        there = memoryview(text)[: len(text) // GRAM * GRAM].cast("I")
        found = frozenset(self.grams).intersection(there)
        return {*self.short, *(secret for gram in found for secret in self.grams[gram])}

    def _undecided(self, text):
        """Length of the longest end of `text` that is the beginning of a secret."""
        return max((_beginning(text[max(len(text) - len(one) + 1, 0) :], one) for one in self.secrets), default=0)


def _grams(secrets):
    """Of each secret the bytes at four places that follow on each other, of which one is looked at wherever it stands: bytes -> secrets.

    They are taken from where it has most different ones, as rows of dashes are in every log.
    """
    found, width = {}, 2 * GRAM - 1
    for secret in secrets:
        begin = max(range(min(len(secret) - width, 64) + 1), key=lambda at: len(set(secret[at : at + width])))
        for at in range(begin, begin + GRAM):
            [gram] = memoryview(secret[at : at + GRAM]).cast("I")
            found.setdefault(gram, []).append(secret)
    return found


def _readings(whole):
    """The bytes as they are and, where base64 is written in lines, without the breaks: each with what says where a byte of it is."""
    yield whole, int
    kept, begins, removed, end = [], [0], [0], 0
    for start, after in _breaks(whole.translate(_KINDS)):
        kept.append(whole[end:start])
        end = after
        begins.append(begins[-1] + len(kept[-1]))
        removed.append(end - begins[-1])
    if kept:
        yield b"".join([*kept, whole[end:]]), lambda at: at + removed[bisect.bisect_right(begins, at) - 1]


def _breaks(kinds):
    """Where lines of base64 end, and the next begins; of bytes by kind, which is many times faster than a pattern."""
    line = b"x" * LINE + b"\n"
    at = kinds.find(line)
    while at >= 0:
        start = at + LINE
        end = start + (2 if kinds.startswith(b"\n", start + 1) else 1)
        yield start, end
        at = kinds.find(line, end)


def _beginning(end, secret):
    """Length of the longest end of `end`, which is shorter than the secret, with which the secret begins."""
    first = secret[:1]
    at = end.find(first)
    while at >= 0:
        if secret.startswith(end[at:]):
            return len(end) - at
        at = end.find(first, at + 1)
    return 0


def _occurrences(whole, secret):
    """Where the secret begins, overlapping ones too."""
    start = whole.find(secret)
    while start >= 0:
        yield start
        start = whole.find(secret, start + 1)
