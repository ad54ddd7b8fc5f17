"""What nobody may be called."""

import pytest
from django.core.exceptions import ValidationError

from accounts.names import not_reserved

WORDS = """
login logout whoami configure project job status session sessions artifacts logs team teams user users rule role organization
datastore data open doctor completion help version config me new ls list get set rm key policy member submit kill clone info exec
port-forward invite leave use all
""".split()  # noqa: SIM905


@pytest.mark.parametrize("word", WORDS)
def test_words_of_the_command_line_are_no_names(word):
    for name in (word, word.upper()):
        with pytest.raises(ValidationError, match="a word of mlteam itself"):
            not_reserved(name)


def test_what_only_begins_with_one_is_a_name():
    for name in ("jobs2", "lsd", "all-of-us", "newt"):
        not_reserved(name)
