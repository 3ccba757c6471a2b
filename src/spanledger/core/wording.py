"""Texts of others, as they can be shown to people: in one line, printable, and no longer than somebody reads."""

from __future__ import annotations

MAX_SHOWN_CHARACTERS = 200


def shown(text: str, max_characters: int = MAX_SHOWN_CHARACTERS) -> str:
    """A text of at most so many characters, with a mark where it is cut.

    What is not printable is written as Python writes it (`\\x1b`): a terminal would obey it.
    """
    line = "".join(one if one.isprintable() else repr(one)[1:-1] for one in text[:max_characters])
    if len(text) <= max_characters:
        return line
    return f"{line}… ({len(text)} characters)"
