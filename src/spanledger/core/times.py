"""Times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

NANO_PER_SECOND = 10**9
NANO_PER_DAY = 86_400 * NANO_PER_SECOND
_NANO_PER_MILLISECOND = 10**6


def shown_time(unix_nano: int) -> str:
    """Print Unix nanoseconds as RFC 3339 in UTC, to the millisecond."""
    seconds, nano = divmod(unix_nano, NANO_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%dT%H:%M:%S}.{nano // _NANO_PER_MILLISECOND:03d}Z"
