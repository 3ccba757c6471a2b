"""Everything that calls are priced by, read and checked."""

from __future__ import annotations

from spanledger.config.clients import load_client_prices
from spanledger.config.prices import Layers, load_price_book
from spanledger.core.book_check import book_faults
from spanledger.core.errors import ConfigError
from spanledger.core.settling import Prices


def load_checked_prices(layers: Layers) -> Prices:
    """Read the price book of these files, and what is known of how clients price.

    Raises:
        ConfigError: a price file cannot be used, or the book made of them fails its check.
    """
    book = load_price_book(layers)
    if faults := list(book_faults(book)):
        raise ConfigError(faults)
    return Prices(book, load_client_prices())
