"""Texts of others, shown."""

from __future__ import annotations

import pytest

from spanledger.core.wording import shown


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("claude-3", "claude-3"),
        ("Ünïcode 名", "Ünïcode 名"),
        ("", ""),
        ("x" * 10, "x" * 10),
        ("x" * 11, f"{'x' * 10}… (11 characters)"),
        ("a\x1b[31m\n", r"a\x1b[31m\n"),
        ("a\u202eb\u2028", r"a\u202eb\u2028"),
        ("a\\x1b", r"a\x1b"),
    ],
)
def test_a_text_is_short_and_printable(text: str, seen: str) -> None:
    assert shown(text, 10) == seen
