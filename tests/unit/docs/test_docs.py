"""Documentation is what the code says: generated pages, commands that run, a reason for every dependency."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from support.pages import anchors_of

ROOT = Path(__file__).parent.parent.parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "collector-config").rglob("*.md")])


def test_the_references_are_what_the_code_says() -> None:
    check = [sys.executable, ROOT / "tools" / "generate_reference.py", "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_functions_and_modules_are_small() -> None:
    check = [sys.executable, ROOT / "tools" / "check_size.py", "src"]
    done = subprocess.run(check, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout


def test_every_runtime_dependency_has_a_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[<>=;]", text)[0].strip() for text in project["dependencies"]]
    page = (ROOT / "docs" / "dependencies.md").read_text()
    assert [name for name in names if f"| {name} |" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_to_headings_in_them(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in link]
    targets = [(page.parent / file if file else page, anchor) for file, _, anchor in (o.partition("#") for o in links)]
    assert [str(file) for file, _ in targets if not file.exists()] == []
    assert [(file.name, anchor) for file, anchor in targets if anchor and anchor not in anchors_of(file)] == []


def test_modules_named_in_the_architecture_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = set(
        re.findall(r"`((?:core|otlp|config|receiver|ledger|exporter|service|cli)/[a-z_0-9/]+\.(?:py|sql))`", text)
    )
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / "src" / "spanledger" / name).exists()] == []
    tests = set(re.findall(r"`(tests/[a-z_0-9/]+(?:\.py)?)`", text))
    assert len(tests) > 5
    assert [name for name in sorted(tests) if not (ROOT / name).exists()] == []


def test_verbs_named_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    verbs = set(re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert verbs >= {"demo", "test"}
    assert [verb for verb in verbs if f"\n{verb}:" not in makefile] == []
