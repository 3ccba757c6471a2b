"""A compiled price book checked against itself before it prices anything."""

from __future__ import annotations

from collections.abc import Iterator

from spanledger.core.book import PriceBook
from spanledger.core.rating import rate
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Unpriced
from spanledger.core.usage import Provider, Tokens

_ONE_OF_EACH = Tokens(1, 1, 1, 1, 1, 1, 1)


def book_faults(book: PriceBook) -> Iterator[str]:
    """Say where a book does not find a model by each of its names, or charge one token of each class what a row says.

    Files are checked before they are compiled; a fault here is one of this program.
    """
    for model in book.models:
        for name in (model.id, *model.aliases):
            if name not in book.contract.aliases and book.resolve(name).prices is not model:
                yield f"price book {book.id}: does not find {model.id} by the name {name}"
        for row in model.rows:
            call = RatingInput(Provider.ANTHROPIC, model.id, row.from_unix_nano, _ONE_OF_EACH)
            outcome = rate(book, call)
            if isinstance(outcome, Unpriced) or outcome.rates != row.rates:
                yield f"price book {book.id}: {row.id} does not come out at its own rates"
