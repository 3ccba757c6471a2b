"""What README.md names as showing the bar is there."""

from __future__ import annotations

import re
from pathlib import Path

from contract.conversations import CONVERSATIONS
from contract.rows import ROWS

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SHOWN_BY = [cell for line in (HERE / "README.md").read_text().splitlines() for cell in line.split("|")[3:4]]


def test_every_row_conversation_and_test_that_the_page_names_is_there() -> None:
    names = [name for cell in SHOWN_BY for name in re.findall(r"`([^`]+)`", cell)]
    tests = [name.partition("::") for name in names if "::" in name]
    known = {row.name for row in ROWS} | {conversation.name for conversation in CONVERSATIONS}
    assert len(SHOWN_BY) == len([cell for cell in SHOWN_BY if "`" in cell]) + 2  # the head and the line under it
    assert [name for name in names if "::" not in name and name not in known] == []
    assert [name for file, _, name in tests if f"def {name}(" not in (ROOT / file).read_text()] == []
