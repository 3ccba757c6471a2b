"""Every state that needs a person has a place in a page that says what to do, and what tells of it names that place."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from spanledger.core.events import EVENTS, EventSpec, Level
from spanledger.ledger.faults import Fault
from spanledger.otlp.refusals import CONNECTION_ENDS, REQUEST_REFUSALS
from spanledger.service.admin import SILENT
from support.pages import anchors_of

ROOT = Path(__file__).parents[3]
OPERATE = ROOT / "docs" / "operate"
TELLING = [spec for spec in EVENTS.values() if spec.level in (Level.WARNING, Level.ERROR)]


@pytest.mark.parametrize("spec", TELLING, ids=lambda spec: spec.event.value)
def test_a_line_of_the_log_that_needs_a_person_names_its_place(spec: EventSpec) -> None:
    (place,) = re.findall(r"docs/[\w/-]+\.md#?[\w-]*", spec.remedy)
    page, _, anchor = place.partition("#")
    assert anchor in anchors_of(ROOT / page), place


def test_every_reason_not_to_be_ready_has_a_row() -> None:
    page = (OPERATE / "ledger.md").read_text(encoding="utf-8")
    section = page.partition("## Nothing is acknowledged\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)) == {*Fault, SILENT}


def test_every_refusal_that_is_not_the_senders_fault_has_a_row() -> None:
    ours = {
        reason.value
        for reason, refusal in (REQUEST_REFUSALS | CONNECTION_ENDS).items()
        if refusal.http_status is HTTPStatus.SERVICE_UNAVAILABLE
    }
    page = (OPERATE / "limits.md").read_text(encoding="utf-8")
    assert ours >= {"not_durable", "too_busy", "internal_error"}
    assert ours - set(re.findall(r'^\| `[\w.]+\{reason="(\w+)"\}', page, re.MULTILINE)) == set()
