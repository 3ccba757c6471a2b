"""Replaying captures in tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from spanledger.config.sections import Settings
from spanledger.core.delivery import Delivery
from spanledger.core.posting import Posting
from spanledger.core.semconv import Metric
from spanledger.core.settling import Prices
from spanledger.service.assembly import Parts, assemble, load_prices
from spanledger.service.audit import Figures, audit
from spanledger.service.captures import CapturedBody, find_folders, read_body
from spanledger.service.pipeline import prepare
from spanledger.service.replay import Replay


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay left behind."""

    figures: Figures
    duplicates: int
    problems: list[str]
    postings: list[Posting]

    @property
    def balances(self) -> object:
        """Everything that must not depend on order, batching, repetition or transport."""
        report = self.figures.report
        groups = {
            part: {key: (group.cost_picousd, group.requests, tuple(group.tokens)) for key, group in by_key.items()}
            for part, by_key in report.groups.items()
        }
        return (
            report.cost_picousd,
            self.figures.client_cost_picousd,
            report.unpriced_requests,
            {metric: total for metric, total in self.figures.metrics.items() if metric is not Metric.DUPLICATES},
            groups,
        )


@cache
def list_prices() -> Prices:
    """The bundled prices, read once: reading them takes longer than replaying a capture."""
    return load_prices(Settings())


def open_parts(
    ledger_path: Path, *, forward: bool = True, settings: Settings | None = None, prices: Prices | None = None
) -> Parts:
    """A pipeline on a ledger file, by default with default settings and the bundled prices."""
    settings = settings or Settings()
    if prices is None and settings.prices == Settings().prices:
        prices = list_prices()
    return assemble(settings, ledger_path, forward=forward, prices=prices)


def replay_folders(paths: Sequence[Path], ledger_path: Path, out: Path | None = None) -> Replayed:
    """Replay folders as the command does, with default settings."""
    parts = open_parts(ledger_path, forward=out is not None)
    replay = Replay(parts.ledger, parts.pipeline, parts.meter, out)
    figures = replay.run(find_folders(paths), lambda _: None)
    postings = list(parts.ledger.postings.all())
    parts.ledger.close()
    return Replayed(figures, replay.duplicates, replay.problems, postings)


def read_folder(path: Path) -> list[CapturedBody]:
    """The bodies of a folder, in order of arrival."""
    (folder,) = find_folders([path])
    return [read_body(file) for file in folder.files]


def feed(parts: Parts, groups: Sequence[Sequence[Delivery]], times: Sequence[int]) -> Replayed:
    """Accept groups of deliveries at given times, then let everything come to rest."""
    duplicates = 0
    now = 0
    for group, at in zip(groups, times, strict=True):
        now = max(now, at)
        duplicates += take(parts, group, now)
    return rest(parts, now, duplicates)


def take(parts: Parts, group: Sequence[Delivery], now_unix_nano: int) -> int:
    """Accept a group of deliveries, after what fell due before; gives how many records were there already."""
    while (due := parts.pipeline.next_advance_unix_nano()) is not None and due <= now_unix_nano:
        parts.pipeline.advance(due)
    prepared = [prepare(delivery, parts.meter) for delivery in group]
    return parts.pipeline.accept(prepared, now_unix_nano).duplicates


def rest(parts: Parts, now_unix_nano: int, duplicates: int = 0) -> Replayed:
    """Let everything come to rest, and read what is left behind."""
    while (due := parts.pipeline.next_advance_unix_nano()) is not None:
        now_unix_nano = max(now_unix_nano, due)
        parts.pipeline.advance(now_unix_nano)
    parts.pipeline.fold(now_unix_nano)
    figures = audit(parts.ledger)
    postings = list(parts.ledger.postings.all())
    return Replayed(figures, duplicates, list(figures.disagreements), postings)
