"""What was really served, at list price: the reference that the ledger is held against.

`truth.json` of a capture lists what the API served. A completed request counts in full. A reply that was cut or
interrupted counts as far as the client had seen it, which only its token sums tell; one that broke off by an error
event is billed nowhere. What no signal tells of is `untold`: served, but beyond any receiver.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import combinations
from pathlib import Path

from spanledger.core.batch import Batch, PointData
from spanledger.core.usage import Signal, Temporality
from spanledger.otlp.decode import decode
from spanledger.service.captures import find_folders, read_body
from support.listprice import Usage, price_usd, region_of_bedrock, usage_of
from support.splitting import protobuf_body

CAPTURES = Path(__file__).parent.parent / "captures"

_TYPES = ("input", "output", "cacheRead", "cacheCreation")
_KEYS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens")
_PROMPT = (0, 2, 3)
"""Places in `_TYPES` of what makes up a prompt."""
Counts = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was answered with 200. `asked` has no `[1m]`; `cost_usd` is None when the list has no price."""

    identity: str
    asked: str
    served: str
    usage: Usage
    at: datetime
    region: str
    is_cut: bool

    @property
    def cost_usd(self) -> Decimal | None:
        """What it costs at list price."""
        return price_usd(self.served, self.usage, self.at, self.region)

    @property
    def counts(self) -> Counts:
        """The classes that the client's records tell apart."""
        usage = self.usage
        return usage.input, usage.output, usage.read, usage.write_5m + usage.write_1h


@dataclass(frozen=True, slots=True)
class Served:
    """What a capture's API served.

    `recorded` are requests that a log event or span tells of; `summed` those that only the client's sums hold, as far
    as they hold them; `untold` completed ones that nothing tells of.
    """

    recorded: list[Request]
    summed: list[Request]
    untold: list[Request]

    @property
    def cost_usd(self) -> Decimal:
        """Cost at list price of what signals tell of; what has no price is left out."""
        return sum((cost for r in (*self.recorded, *self.summed) if (cost := r.cost_usd) is not None), Decimal(0))

    @property
    def untold_usd(self) -> Decimal:
        """Cost at list price of what no signal tells of."""
        return sum((cost for r in self.untold if (cost := r.cost_usd) is not None), Decimal(0))

    @property
    def unpriced_requests(self) -> int:
        """Recorded requests that the list has no price for."""
        return sum(request.cost_usd is None for request in self.recorded)


def capture_folders() -> list[Path]:
    """Every capture folder of the test data."""
    return [folder.path for folder in find_folders([CAPTURES])]


def served(folder: Path, of: Collection[Signal] = tuple(Signal)) -> Served:
    """What the API of a capture served, and what some of its signals, all by default, tell of it."""
    requests = answered(folder)
    signals = _read(folder, of)
    recorded = signals.recorded(requests)
    rest = [request for request in requests if request not in recorded]
    found = Served(recorded, [], [])
    for asked in dict.fromkeys(request.asked for request in rest):
        held = signals.sums[asked]
        for request in recorded:
            if request.asked == asked:
                held = _minus(held, request.counts)
        _share(found, [request for request in rest if request.asked == asked], held)
    return found


def answered(folder: Path) -> list[Request]:
    """The requests of a capture that can be billed: answered with 200, not broken off by an error event."""
    truth = json.loads((folder / "truth.json").read_text())
    return [_request(one) for one in truth["requests"] if one["status"] == 200 and one.get("cut") != "sse_error"]


def _request(one: dict) -> Request:
    return Request(
        identity=one["request_id"],
        asked=_asked(one["model_asked"]),
        served=one["model_served"],
        usage=usage_of(one["usage"]),
        at=datetime.fromtimestamp(one["t"], UTC),
        region=_region(one),
        is_cut="cut" in one,
    )


def _region(one: dict) -> str:
    match one["flavour"]:
        case "bedrock":
            return region_of_bedrock(one["model_asked"])
        case "vertex":
            return "global" if "/locations/global/" in one["path"] else "regional"
        case _:
            return ""


def _asked(model: str) -> str:
    return model.lower().removesuffix("[1m]")


def _share(found: Served, rest: Iterable[Request], held: Counts) -> None:
    """Share out among requests without a record what a model's sums hold beyond the recorded ones.

    Prompts are seen as soon as a reply begins, so a request is held in full or, of its output, in part; it was
    completed if the sums hold all of it and it was not cut.
    """
    last: Request | None = None
    requests = list(rest)
    made_up = _making_up(requests, held)
    for request in sorted(requests, key=lambda request: (request not in made_up, request.is_cut)):
        seen = request
        if request.is_cut or held[1] < request.usage.output:
            seen = replace(request, usage=replace(request.usage, output=0))
        if any(have < count for have, count in zip(held, seen.counts, strict=True)):
            if not request.is_cut:
                found.untold.append(request)
            continue
        held = _minus(held, seen.counts)
        found.summed.append(seen)
        last = seen
    if last is not None and held[1]:
        found.summed[-1] = replace(last, usage=replace(last.usage, output=last.usage.output + held[1]))


def _making_up(requests: Sequence[Request], held: Counts) -> Sequence[Request]:
    """The requests whose prompts are just those that sums hold; all where none are. A smaller one fits any sum."""
    for size in range(len(requests), -1, -1):
        for some in combinations(requests, size):
            if all(sum(one.counts[place] for one in some) == held[place] for place in _PROMPT):
                return some
    return requests


def _minus(one: Counts, other: Counts) -> Counts:
    return one[0] - other[0], one[1] - other[1], one[2] - other[2], one[3] - other[3]


@dataclass(slots=True)
class _Signals:
    """What a capture's signals tell: request ids, counts of records without one, sums by model asked."""

    identities: set[str] = field(default_factory=set)
    nameless: Counter[Counts] = field(default_factory=Counter)
    sums: defaultdict[str, Counts] = field(default_factory=lambda: defaultdict(lambda: (0, 0, 0, 0)))

    def recorded(self, requests: Iterable[Request]) -> list[Request]:
        """The requests that a record tells of, by id or, where there is none, by their counts."""
        nameless = Counter(self.nameless)
        found = []
        for request in requests:
            is_nameless = nameless[request.counts] > 0 and not request.is_cut
            if request.identity in self.identities or is_nameless:
                nameless[request.counts] -= request.identity not in self.identities
                found.append(request)
        return found


def _read(folder: Path, of: Collection[Signal]) -> _Signals:
    (capture,) = find_folders([folder])
    deliveries = [read_body(path).delivery for path in capture.files]
    batches = [decode(one.signal, protobuf_body(one)) for one in deliveries if one.signal in of]
    signals = _Signals()
    nameless = {signal: Counter(_nameless(batches, signal)) for signal in (Signal.LOGS, Signal.TRACES)}
    signals.nameless = nameless[Signal.LOGS] | nameless[Signal.TRACES]
    for batch in batches:
        records = [record.attributes for record in (*batch.logs, *batch.spans)]
        signals.identities.update(str(a["request_id"]) for a in records if "request_id" in a and _KEYS[0] in a)
    for (asked, place), amount in _sums(batches).items():
        sums = list(signals.sums[asked])
        sums[place] += amount
        signals.sums[asked] = (sums[0], sums[1], sums[2], sums[3])
    return signals


def _nameless(batches: Iterable[Batch], signal: Signal) -> Iterable[Counts]:
    """Counts of the records of a signal that name no request, each once."""
    seen = set()
    for batch in batches:
        for record in batch.logs if signal is Signal.LOGS else batch.spans:
            attributes = record.attributes
            if "request_id" in attributes or _KEYS[0] not in attributes:
                continue
            key = repr(sorted(attributes.items())) + str(getattr(record, "time_unix_nano", 0) or record.span_id)
            if key not in seen:
                seen.add(key)
                counts = [int(attributes.get(name, 0)) for name in _KEYS]
                yield counts[0], counts[1], counts[2], counts[3]


def _sums(batches: Iterable[Batch]) -> dict[tuple[str, int], int]:
    """The client's token sums by model asked and class; every point once, of a cumulative series the last."""
    points: dict[tuple[object, ...], PointData] = {}
    for point in (point for batch in batches for point in batch.points):
        if point.metric != "claude_code.token.usage":
            continue
        series = (repr(sorted(point.attributes.items())), repr(sorted(point.resource.items())), point.start_unix_nano)
        is_delta = point.temporality is Temporality.DELTA
        key = (*series, point.time_unix_nano) if is_delta else series
        if key not in points or point.time_unix_nano > points[key].time_unix_nano:
            points[key] = point
    found: Counter[tuple[str, int]] = Counter()
    for point in points.values():
        attributes = point.attributes
        found[_asked(str(attributes["model"])), _TYPES.index(str(attributes["type"]))] += int(point.value)
    return found
