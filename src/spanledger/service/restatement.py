"""Restatement: what pricing a period again has changed, or would change, by cost center, model and basis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from spanledger.core.money import format_usd
from spanledger.core.posting import Charge, Latest, Posting, Status
from spanledger.core.semconv import COST_CENTER_LABEL
from spanledger.core.usage import Basis, Evidence

Json = dict[str, object]


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """What differences are told by. Bases are never summed."""

    basis: Basis
    cost_center: str
    model: str


@dataclass(slots=True)
class Difference:
    """A line's change: charges that were corrected, how many of them got their first price, cost before and after.

    A cost is None where nothing had, or has, a price.
    """

    charges: int = 0
    first_prices: int = 0
    before_picousd: int | None = None
    after_picousd: int | None = None

    @property
    def picousd(self) -> int:
        """What the line's total rises by; negative when it falls."""
        return (self.after_picousd or 0) - (self.before_picousd or 0)

    def take_back(self, cost_picousd: int | None) -> None:
        """Count the cost of a charge that was taken back."""
        if cost_picousd is not None:
            self.before_picousd = (self.before_picousd or 0) + cost_picousd

    def put(self, cost_picousd: int | None) -> None:
        """Count the cost of a charge that was put in the place of one."""
        if cost_picousd is not None:
            self.after_picousd = (self.after_picousd or 0) + cost_picousd


@dataclass(slots=True)
class Open:
    """Usage that still has no price, for one reason."""

    requests: int = 0
    tokens: int = 0


@dataclass(slots=True)
class Restatement:
    """What came of it. `charges` were looked at; `books` are the price books of those that were corrected."""

    charges: int = 0
    postings: int = 0
    books: set[str] = field(default_factory=set)
    differences: dict[Line, Difference] = field(default_factory=dict)
    unpriced: dict[str, Open] = field(default_factory=dict)

    def add(self, latest: Mapping[str, Latest], postings: Iterable[Posting]) -> None:
        """Add charges that were looked at, by identity, and what was posted for them."""
        standing = {identity: last.charge for identity, last in latest.items() if last.live}
        taken: dict[str, Charge] = {}
        put: dict[str, Charge] = {}
        for posting in postings:
            side = taken if posting.sign < 0 else put
            side[posting.charge.identity] = posting.charge
            self.postings += 1
        for identity in taken.keys() | put.keys():
            self._change(taken.get(identity), put.get(identity))
        after = {identity: charge for identity, charge in standing.items() if identity not in taken} | put
        self.charges += len(standing.keys() | put.keys())
        for charge in after.values():
            self._note_unpriced(charge)

    def by_basis(self) -> dict[Basis, Difference]:
        """Differences of all lines of a basis."""
        found: dict[Basis, Difference] = {}
        for line, change in sorted(self.differences.items()):
            whole = found.setdefault(line.basis, Difference())
            whole.charges += change.charges
            whole.first_prices += change.first_prices
            whole.take_back(change.before_picousd)
            whole.put(change.after_picousd)
        return found

    def as_json(self) -> Json:
        """One object: money as exact decimal strings, null where nothing has a price."""
        return {
            "charges": self.charges,
            "postings": self.postings,
            "corrected_price_books": sorted(self.books),
            "differences": [
                {"cost_center": line.cost_center, "model": line.model, "basis": line.basis.value, **_json(change)}
                for line, change in sorted(self.differences.items())
            ],
            "by_basis": {basis.value: _json(change) for basis, change in self.by_basis().items()},
            "unpriced": [
                {"why": why, "requests": left.requests, "tokens": left.tokens}
                for why, left in sorted(self.unpriced.items())
            ],
        }

    def _change(self, old: Charge | None, new: Charge | None) -> None:
        told = new or old
        assert told is not None  # noqa: S101 - a change has a side
        line = self._difference(told)
        line.charges += 1
        if old is not None:
            self.books.add(old.price.price_book)
            if old.cost_picousd is not None:  # under the name that it had, which may be another now
                self._difference(old).take_back(old.cost_picousd)
            elif new is not None and new.cost_picousd is not None:
                line.first_prices += 1
        if new is not None:
            line.put(new.cost_picousd)

    def _difference(self, charge: Charge) -> Difference:
        account = charge.account
        line = Line(account.basis, account.label(COST_CENTER_LABEL), account.model)
        return self.differences.setdefault(line, Difference())

    def _note_unpriced(self, charge: Charge) -> None:
        if charge.status is not Status.UNPRICED:
            return
        left = self.unpriced.setdefault(charge.price.unpriced_detail, Open())
        left.requests += charge.evidence is not Evidence.METRIC
        left.tokens += charge.tokens.total


def _json(change: Difference) -> Json:
    return {
        "charges": change.charges,
        "first_prices": change.first_prices,
        "before_usd": _usd(change.before_picousd),
        "after_usd": _usd(change.after_picousd),
        "difference_usd": format_usd(change.picousd),
    }


def _usd(picousd: int | None) -> str | None:
    return None if picousd is None else format_usd(picousd)
