"""What a username may be."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

# Words of the command line: `mlteam user ls` must never mean a user called ls.
RESERVED = frozenset(
    """
    accounts admin all api app artifacts clone configure data dataset datasets datastore doctor exec get help
    info job jobs kill login logout logs ls me member members mlteam model models my new none open
    organization personal policy project projects pull push rm role root rule run runs session set settings
    setup status submit system team teams user users volume volumes whoami
    """.split()  # noqa: SIM905 - words are easier to read and to add to than a list of strings
)

username_pattern = RegexValidator(
    r"^[a-z0-9][a-z0-9_-]{1,30}\Z",
    "Use 2 to 31 lower-case letters, digits, - or _, beginning with a letter or digit.",
)


def not_reserved(name: str) -> None:
    """Raises ValidationError when the name is a word of the command line."""
    if name.casefold() in RESERVED:
        raise ValidationError(f"“{name}” is a word of mlteam itself; choose another username.")


username_validators: list[Callable[[Any], None]] = [username_pattern, not_reserved]


def printable(name: str) -> None:
    """Raises ValidationError for a name with line breaks, or with characters that a terminal obeys or that turn text around."""
    if not name.isprintable():
        raise ValidationError("Use one line of letters, digits, signs and spaces.")


def fold_email(address: str) -> str:
    """The form in which addresses are compared: case-folded; a +tag makes another address."""
    return address.strip().casefold()
