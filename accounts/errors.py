"""What to tell a person when a thing cannot be done."""


class Impossible(Exception):
    """The thing cannot be done as things stand; the message is a sentence for the person who asked."""
