"""The rules are valid, and every alert fires and does not, as promtool says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.prometheus

RULES = Path(__file__).parents[2] / "dashboards" / "rules"
TESTS = sorted(RULES.glob("*.test.yaml"))


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(
        [os.environ["PROMTOOL"], *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_rules_are_valid() -> None:
    assert "SUCCESS" in promtool("check", "rules", RULES / "recording.yaml", RULES / "alerts.yaml")


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name)
def test_alerts_fire_and_do_not(file: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", file)
