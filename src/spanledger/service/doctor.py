"""The doctor: looks and tries, and says for each finding what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from spanledger.config.sections import Settings
from spanledger.core.errors import ConfigError
from spanledger.core.times import NANO_PER_DAY
from spanledger.service.assembly import load_prices
from spanledger.service.doctor_addresses import examine_addresses
from spanledger.service.doctor_destinations import examine_destinations
from spanledger.service.doctor_ledger import examine_ledger
from spanledger.service.files_examined import examine_files
from spanledger.service.findings import Finding, Level


async def examine(settings: Settings, now_unix_nano: int) -> AsyncIterator[Finding]:
    """Look at everything that settings name, in the order in which a person would."""
    files = examine_files(settings, now_unix_nano)
    for finding in (*examine_addresses(settings), *files, *_prices(settings, now_unix_nano)):
        yield finding
    async for finding in examine_destinations(settings):
        yield finding
    for finding in examine_ledger(settings, now_unix_nano):
        yield finding


def _prices(settings: Settings, now_unix_nano: int) -> Iterator[Finding]:
    try:
        book = load_prices(settings).book
    except ConfigError as error:
        for problem in error.problems:
            yield Finding("prices", Level.PROBLEM, problem, "mend the file; a running service keeps the prices it has")
        return
    age_days = 0 if book.checked_unix_nano is None else (now_unix_nano - book.checked_unix_nano) / NANO_PER_DAY
    if age_days > settings.prices.stale_after_days:
        advice = "upgrade spanledger, or give a newer list under prices.updates"
        yield Finding("prices", Level.PROBLEM, f"the list was last checked {age_days:.0f} days ago", advice)
    else:
        yield Finding("prices", Level.OK, f"{book.id}, last checked {age_days:.0f} days ago")
