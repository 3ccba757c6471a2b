"""Everything that calls are priced by, read and checked."""

from __future__ import annotations

from spanledger.config import sections
from spanledger.config.clients import load_client_prices
from spanledger.config.prices import load_price_book
from spanledger.core.book_check import book_faults
from spanledger.core.errors import ConfigError
from spanledger.core.settling import Prices


def load_checked_prices(configured: sections.Prices) -> Prices:
    """Read the configured price book and defaults, and what is known of how clients price.

    Raises:
        ConfigError: a price file cannot be used, or the book made of them fails its check.
    """
    book = load_price_book(configured.layers)
    if faults := list(book_faults(book)):
        raise ConfigError(faults)
    return Prices(book, load_client_prices(), configured.known_defaults)
