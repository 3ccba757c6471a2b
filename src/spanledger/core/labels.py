"""Labels of series: senders write them, so each is held to a length that every backend takes."""

from __future__ import annotations

from spanledger.core.digest import digest_of
from spanledger.core.views import SeriesKey

MAX_LABEL_BYTES = 256
"""The default; backends take 200 to 2048 bytes."""

MIN_LABEL_BYTES = 64
"""The least that may be set: a name is still known by its beginning, beside the mark of what was cut."""

_DIGEST_DIGITS = 16


def cut_label(value: str, max_bytes: int) -> str:
    """A value of at most so many bytes of UTF-8. Where it is cut a digest of the whole keeps different values apart."""
    encoded = value.encode()
    if len(encoded) <= max_bytes:
        return value
    mark = f"…{digest_of(value)[:_DIGEST_DIGITS]}"
    return encoded[: max_bytes - len(mark.encode())].decode(errors="ignore") + mark


def cut_key(key: SeriesKey, max_bytes: int) -> SeriesKey:
    """A series by labels of at most so many bytes each; the same key when none is longer."""
    labels = tuple((name, cut_label(value, max_bytes)) for name, value in key.labels)
    return key if labels == key.labels else SeriesKey(key.metric, labels)
