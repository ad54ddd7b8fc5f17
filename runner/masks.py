"""Secrets in a stream of bytes, each replaced by as many stars."""

import binascii


class Masks:
    """The secrets, given in base64. `longest` is how many bytes before a place can still matter for it."""

    def __init__(self, encoded):
        secrets = {binascii.a2b_base64(value) for value in encoded} - {b""}
        self.secrets = sorted(secrets, key=len, reverse=True)
        self.longest = len(self.secrets[0]) if self.secrets else 0

    def apply(self, before, data, *, final):
        """`data`, which follows on `before`, masked as far as it is decided.

        That is all but an end that may be the start of a secret, and all if it is `final`.
        """
        whole = before + data
        masked = bytearray(whole)
        for secret in self.secrets:
            for start in _occurrences(whole, secret):
                masked[start : start + len(secret)] = b"*" * len(secret)
        end = len(whole) if final else len(whole) - self._undecided(whole)
        return bytes(masked[len(before) : max(end, len(before))])

    def _undecided(self, whole):
        """Length of the longest end of `whole` that is the beginning of a secret."""
        return max((_beginning(whole[max(len(whole) - len(one) + 1, 0) :], one) for one in self.secrets), default=0)


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
