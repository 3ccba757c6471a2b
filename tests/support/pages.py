"""Pages of the documentation."""

from __future__ import annotations

import re
from pathlib import Path


def anchors_of(page: Path) -> list[str]:
    """What links to headings of a page say after `#`, as GitHub makes it of the headings' words."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
