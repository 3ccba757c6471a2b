"""Times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

NANO_PER_SECOND = 10**9
NANO_PER_DAY = 86_400 * NANO_PER_SECOND
NANO_PER_MILLISECOND = 10**6

FOREVER_UNIX_NANO = 2**63 - 1
"""An end that no time comes to: the largest that the ledger can hold."""


LATEST_UNIX_NANO = 2**62
"""In the year 2116. What says a later time says none: a tolerance added to it must still fit into the ledger."""


def told_time(unix_nano: int) -> int:
    """A time as a record tells it, in Unix nanoseconds; 0, which stands for none, when it cannot be one."""
    return unix_nano if unix_nano <= LATEST_UNIX_NANO else 0


def shown_second(unix_nano: int) -> str:
    """Print Unix nanoseconds as RFC 3339 in UTC, to the second."""
    return f"{datetime.fromtimestamp(unix_nano // NANO_PER_SECOND, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"


def shown_time(unix_nano: int, zone: tzinfo = UTC) -> str:
    """Print Unix nanoseconds as RFC 3339, to the millisecond."""
    seconds, nano = divmod(unix_nano, NANO_PER_SECOND)
    at = datetime.fromtimestamp(seconds, tz=zone)
    offset = "Z" if not at.utcoffset() else at.isoformat()[len("2026-11-24T06:40:00") :]
    return f"{at:%Y-%m-%dT%H:%M:%S}.{nano // NANO_PER_MILLISECOND:03d}{offset}"
