"""Small things that tests of prices share."""

from __future__ import annotations

from spanledger.config.price_values import read_instant


def nano(instant: str) -> int:
    """Unix nanoseconds of a day (its beginning), or of an instant; in UTC unless it says otherwise."""
    text = instant if "T" in instant else f"{instant}T00:00:00"
    return read_instant(text if text[-1] == "Z" or text[-6] in "+-" else f"{text}Z")
