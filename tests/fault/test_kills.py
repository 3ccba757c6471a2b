"""`kill -9` just before every numbered effect: nothing acknowledged is lost, nothing is counted twice.

The numbers are those of the comments "Effect N" in the source; a kill before N is one after N - 1.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import spanledger
from spanledger.core.delivery import Delivery
from spanledger.ledger.ledger import Ledger
from spanledger.service.pipeline import prepare
from support.kills import forwarded, killed_once, names
from support.replaying import open_parts, read_folder, replay_folders
from support.serving import standing
from support.truth import CAPTURES

FOLDERS = [CAPTURES / name for name in ("s03_subagent", "s06c_auto_mode_classifier")]
AT_ONCE = {"SPANLEDGER_SETTLE__RESIDUAL_WAIT_SECONDS": "0", "SPANLEDGER_FORWARD__FLUSH_TIMEOUT_SECONDS": "60"}
OUTBOX, SERIES = "spanledger.ledger.outbox:OutboxStore", "spanledger.ledger.series:SeriesStore"
WORKER, FORWARDER = "spanledger.service.worker:LedgerWorker", "spanledger.exporter.forward:Forwarder"
METRICS = "spanledger.exporter.metrics:MetricsExporter"

BEFORE = {
    1: f"{WORKER}._book:5",
    2: f"{OUTBOX}.add:9",
    3: f"{WORKER}._answer:12",
    4: "spanledger.service.reconciliation:Reconciler.advance:1",
    5: f"{FORWARDER}._attempt:1",
    6: f"{OUTBOX}.remove:1",
    7: f"{SERIES}.add:1",
    8: f"{METRICS}.export:3",
    9: f"{SERIES}.prime:1",
}
"""Method that begins just before the effect, and the call of it that is killed."""
DELTAS = "spanledger.ledger.deltas:DeltaStore"
BEFORE_OF_DELTAS = {
    8: BEFORE[8],
    10: f"{DELTAS}.begin:3",
    11: f"{DELTAS}.end:6",
}
"""The same when metrics leave as deltas. An export calls `end` twice: the second call is effect 11."""


def deliveries() -> list[Delivery]:
    return [body.delivery for folder in FOLDERS for body in read_folder(folder)]


def test_every_numbered_effect_of_the_source_is_killed_before() -> None:
    source = "".join(path.read_text() for path in Path(spanledger.__file__).parent.rglob("*.py"))
    assert sorted(set(map(int, re.findall(r"# Effect (\d+):", source)))) == sorted(BEFORE | BEFORE_OF_DELTAS)


@pytest.mark.parametrize("effect", BEFORE)
def test_a_sender_that_tries_again_is_charged_once(effect: int, tmp_path: Path) -> None:
    reference = replay_folders(FOLDERS, tmp_path / "reference.db")
    ledger_path = tmp_path / "ledger.db"

    _, sink = killed_once(ledger_path, BEFORE[effect], deliveries(), AT_ONCE, tries_again=True)
    left = standing(ledger_path)
    assert left.problems == []
    assert left.balances == reference.balances
    assert sink.metric_totals() == left.figures.metrics
    assert names(deliveries()) - forwarded(sink) == set()


@pytest.mark.parametrize("effect", BEFORE_OF_DELTAS)
def test_deltas_are_sent_once_and_what_is_in_doubt_is_counted(effect: int, tmp_path: Path) -> None:
    reference = replay_folders(FOLDERS, tmp_path / "reference.db")
    ledger_path = tmp_path / "ledger.db"
    environ = AT_ONCE | {"SPANLEDGER_METRICS__TEMPORALITY": "delta"}

    _, sink = killed_once(ledger_path, BEFORE_OF_DELTAS[effect], deliveries(), environ, tries_again=True)
    left = standing(ledger_path)
    assert left.balances == reference.balances
    ledger = Ledger.read(ledger_path)
    for metric, total in left.figures.metrics.items():
        missing = total - sink.metric_totals()[metric]
        assert 0 <= missing <= ledger.deltas.unconfirmed("default", metric), metric
    ledger.close()


@pytest.mark.parametrize("effect", [2, 3, 6])
def test_what_was_acknowledged_is_there_for_a_sender_that_never_tries_again(effect: int, tmp_path: Path) -> None:
    """Claude Code over gRPC: what got no answer is gone, what got one is booked and, when it can be, forwarded."""
    ledger_path = tmp_path / "ledger.db"

    acknowledged, sink = killed_once(ledger_path, BEFORE[effect], deliveries(), AT_ONCE, tries_again=False)
    assert acknowledged
    assert names(acknowledged) - forwarded(sink) == set()
    meter = open_parts(tmp_path / "meter.db").meter
    told = {r.identity for d in acknowledged for r in prepare(d, meter).usage if r is not None}
    ledger = Ledger.read(ledger_path)
    assert {identity for identity in told if not ledger.evidence.named(identity)} == set()
    ledger.close()
