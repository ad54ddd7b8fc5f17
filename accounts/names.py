"""What names may be."""

from collections.abc import Callable
from typing import Any, Final
from unicodedata import category

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

# Words of the command line: `mlteam user ls` must never mean a user called ls.
RESERVED = frozenset(
    """
    accounts admin all api app artifacts clone completion config configure data dataset datasets datastore
    doctor exec get help info invite job jobs key kill leave list login logout logs ls me member members mlteam
    model models my new none open organization personal policy port-forward project projects pull push rm role
    root rule run runs session sessions set settings setup status submit system team teams use user users
    version volume volumes whoami
    """.split()  # noqa: SIM905 - words are easier to read and to add to than a list of strings
)

username_pattern = RegexValidator(
    r"^[a-z0-9][a-z0-9_-]{1,30}\Z",
    "Use 2 to 31 lower-case letters, digits, - or _, beginning with a letter or digit.",
)


def not_reserved(name: str) -> None:
    """Raises ValidationError when the name is a word of the command line."""
    if name.casefold() in RESERVED:
        raise ValidationError(f"“{name}” is a word of mlteam itself; choose another name.")


username_validators: list[Callable[[Any], None]] = [username_pattern, not_reserved]


# Letters and signs in Unicode's eyes that show as nothing: Hangul fillers, an empty Braille cell, joiners and vowels without a shape.
UNSEEN: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def printable(name: str) -> None:
    """Raises ValidationError for a name with line breaks, with characters that a terminal obeys or that turn text around, and for
    one in which nothing is to be seen."""
    if not name.isprintable() or UNSEEN & set(name):
        raise ValidationError("Use one line of letters, digits, signs and spaces.")
    if name and all(category(character)[0] in "MZ" for character in name):
        raise ValidationError("Use at least one letter, digit or sign.")


def fold_email(address: str) -> str:
    """The form in which addresses are compared, shown and written to: case-folded; a +tag makes another address.

    A domain of other letters than ASCII is written as the mail servers find it: two that they take for one are one here, and
    one that only looks like another (a Cyrillic а) shows as xn--….
    """
    local, at, domain = address.strip().casefold().rpartition("@")
    try:
        return local + at + domain.encode("idna").decode()
    except UnicodeError:  # no domain at all; whoever asks for an address says so
        return local + at + domain
