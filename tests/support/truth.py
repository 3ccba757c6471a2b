"""What was really served, priced by hand: the reference that the ledger is held against.

`truth.json` of a capture lists what the API served. Pricing here shares nothing with the product but the price file's
numbers: Decimal arithmetic, models named one by one.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from spanledger.core.batch import PointData
from spanledger.core.usage import Signal
from spanledger.otlp.decode import decode
from spanledger.service.captures import find_folders, read_body
from support.splitting import protobuf_body

CAPTURES = Path(__file__).parent.parent / "captures"

GAPS = {
    "s08_bedrock": "an opaque profile has no price: unpriced",
}
"""Folders with calls that have no price, and why: what they lack is in a table."""

METRIC_HOLDS_MORE = ("s04d_stream_cut", "s06b_permission_prompts")
"""Folders in which replies were cut or interrupted: what was read of them is in the token metric alone."""

# USD per million tokens on the days of the captures: input, output, cache read, 5-minute write, 1-hour write.
_RATES = {
    "claude-opus-5-5": ("4", "20", "0.20", "5", "8"),
    "claude-opus-5": ("5", "25", "0.50", "6.25", "10"),
    "claude-opus-4-8": ("5", "25", "0.50", "6.25", "10"),
    "claude-opus-4-6": ("5", "25", "0.50", "6.25", "10"),
    "claude-sonnet-5-5": ("2", "10", "0.10", "2.50", "4"),
    "claude-sonnet-5": ("2", "10", "0.20", "2.50", "4"),
    "claude-sonnet-4-5": ("3", "15", "0.30", "3.75", "6"),
    "claude-haiku-5-5": ("0.10", "0.50", "0.01", "0.125", "0.20"),
    "claude-haiku-4-5": ("1", "5", "0.10", "1.25", "2"),
    "claude-3-5-haiku": ("0.80", "4", "0.08", "1", "1.60"),
    "claude-fable-5-2": ("8", "40", "0.20", "10", "16"),
    "claude-fable-5": ("10", "50", "1.00", "12.50", "20"),
}
SPELLINGS = {
    "claude-sonnet-4-5-20250929": "claude-sonnet-4-5",
    "anthropic/claude-sonnet-4-5": "claude-sonnet-4-5",
    "claude-3-5-haiku-20241022": "claude-3-5-haiku",
    "claude-haiku-4-5-20251001": "claude-haiku-4-5",
    "us.anthropic.claude-opus-5-5": "claude-opus-5-5",
    "us.anthropic.claude-opus-4-6-v1": "claude-opus-4-6",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0": "claude-sonnet-4-5",
    "us.anthropic.claude-haiku-4-5-20251001-v1:0": "claude-haiku-4-5",
    "global.anthropic.claude-sonnet-4-5-20250929-v1:0": "claude-sonnet-4-5",
}
_NO_FAST_RATE = "claude-opus-4-6"


@dataclass(frozen=True, slots=True)
class Served:
    """Cost of a folder at list price, in USD, and the requests that no price exists for."""

    cost_usd: Decimal
    requests: int
    unpriced_requests: int


def capture_folders() -> list[Path]:
    """Every capture folder of the test data."""
    return [folder.path for folder in find_folders([CAPTURES])]


def served(folder: Path) -> Served:
    """Price what the API served in a capture."""
    requests = json.loads((folder / "truth.json").read_text())["requests"]
    completed = [r for r in requests if r["status"] == 200 and r["completed"]]
    costs = [_cost_usd(request, in_bedrock="bedrock" in folder.name) for request in completed]
    priced = [cost for cost in costs if cost is not None]
    total = sum(priced, Decimal(0))
    if folder.name in METRIC_HOLDS_MORE:
        total = _metric_cost_usd(folder)
    return Served(total, len(completed), len(costs) - len(priced))


def _cost_usd(request: dict, *, in_bedrock: bool) -> Decimal | None:
    asked = request["model_served"]
    model = SPELLINGS.get(asked, asked)
    if model not in _RATES:
        return None
    usage = request["usage"]
    split = usage["cache_creation"]
    written_1h = split["ephemeral_1h_input_tokens"] if split else 0
    counts = (
        usage["input_tokens"],
        usage["output_tokens"],
        usage["cache_read_input_tokens"],
        usage["cache_creation_input_tokens"] - written_1h,  # without a split: 5 minutes
        written_1h,
    )
    cost = sum(Decimal(n) * Decimal(rate) for n, rate in zip(counts, _RATES[model], strict=True)) / 10**6
    if usage.get("speed") == "fast" and model != _NO_FAST_RATE:
        cost *= 2  # Opus 5.5 8/40, Opus 4.8 10/50, Fable 5.2 16/80: each twice its standard rate
    if in_bedrock and not asked.startswith("global."):
        cost *= Decimal("1.1")  # a geographic inference profile
    return cost


def _metric_cost_usd(folder: Path) -> Decimal:
    """Cost of the client's token sums; all cache writes of these captures are 5-minute ones."""
    place = {"input": 0, "output": 1, "cacheRead": 2, "cacheCreation": 3}
    tokens: Counter[tuple[str, int]] = Counter()
    for point in _points(folder):
        if point.metric == "claude_code.token.usage":
            tokens[str(point.attributes["model"]), place[str(point.attributes["type"])]] += int(point.value)
    return sum(
        (Decimal(count) * Decimal(_RATES[model][column]) / 10**6 for (model, column), count in tokens.items()),
        Decimal(0),
    )


def _points(folder: Path) -> list[PointData]:
    (capture,) = find_folders([folder])
    bodies = [read_body(path) for path in capture.files]
    metrics = [protobuf_body(body.delivery) for body in bodies if body.delivery.signal is Signal.METRICS]
    return [point for body in metrics for point in decode(Signal.METRICS, body).points]
