"""Rewrite the golden files from the present code. Read the diff before you commit it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.goldens import GAP_TABLE, gap_table, golden_path, golden_text
from support.replaying import replay_folders
from support.truth import capture_folders


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        for number, folder in enumerate(capture_folders()):
            path = golden_path(folder)
            path.parent.mkdir(exist_ok=True)
            replayed = replay_folders([folder], Path(scratch) / f"{number}.db")
            path.write_text(golden_text(replayed), encoding="utf-8")
        GAP_TABLE.write_text(gap_table(Path(scratch)), encoding="utf-8")


if __name__ == "__main__":
    main()
