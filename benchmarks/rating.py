"""What it costs to price a call, beside genai-prices in the same run: CPU microseconds a call, best of several rounds.

`resolved` is the normal case, a kind of call that was priced before; `new kind` is the first one of a kind. Both
libraries get the call as their own type, made beforehand. Run it on a quiet machine: `make bench-rating`.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from genai_prices import Usage, calc_price

from spanledger.config.prices import load_price_book
from spanledger.core.book import PriceBook
from spanledger.core.rating import quote, rate
from spanledger.core.rating_input import RatingInput
from spanledger.core.tariff import Unpriced
from spanledger.core.usage import Provider, Tokens

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
AT_UNIX_NANO = int(AT.timestamp()) * 10**9
TOKENS = Tokens(input=107, output=53, cache_read=12_011, cache_write_5m=400, cache_write_1h=113)
GOAL_TIMES = 100

CASES = {
    "flat row": (Provider.ANTHROPIC, "anthropic", "claude-opus-5-5", TOKENS),
    "long prompt": (Provider.ANTHROPIC, "anthropic", "claude-haiku-5-5", TOKENS._replace(cache_read=150_000)),
    "Bedrock, regional": (Provider.BEDROCK, "aws", "us.anthropic.claude-sonnet-5", TOKENS),
    "unknown model": (Provider.ANTHROPIC, "anthropic", "claude-opus-5-6", TOKENS),
}


def cpu_microseconds(work: Callable[[], object], calls: int, rounds: int) -> float:
    """CPU time of one call, the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time_ns()
        for _ in range(calls):
            work()
        best = min(best, time.process_time_ns() - start)
    return best / calls / 1_000


def ours(book: PriceBook, call: RatingInput) -> int | None:
    """What a call is charged, as the service asks for it."""
    charged = quote(book, call).charged
    return None if isinstance(charged, Unpriced) else charged.cost_picousd(call.tokens)


def first_of_a_kind(book: PriceBook, call: RatingInput) -> Callable[[], object]:
    """Each time a region that was never asked for: nothing is remembered of it."""
    regions = iter(range(10**9))
    return lambda: rate(book, replace(call, region=f"region-{next(regions)}"))


def theirs(provider: str, model: str, tokens: Tokens) -> Callable[[], object]:
    usage = Usage(
        input_tokens=tokens.prompt,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
        cache_write_1h_tokens=tokens.cache_write_1h,
    )

    def work() -> object:
        try:
            return calc_price(usage, model, provider_id=provider, genai_request_timestamp=AT).total_price
        except LookupError:
            return None

    return work


def main() -> int:
    """Print a line a case; 1 when a resolved rating of a plain call is not GOAL_TIMES cheaper."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    warnings.simplefilter("ignore")
    start = time.process_time()
    book = load_price_book()
    print(f"reading the price book: {(time.process_time() - start) * 1_000:.0f} ms")
    print(f"{'case':<20}{'resolved us':>12}{'new kind us':>12}{'genai-prices us':>16}{'times':>8}")
    plain = 0.0
    for name, (provider, their_provider, model, tokens) in CASES.items():
        call = RatingInput(provider, model, AT_UNIX_NANO, tokens)
        resolved = cpu_microseconds(lambda call=call: ours(book, call), 50_000, rounds)
        new_kind = cpu_microseconds(first_of_a_kind(book, call), 2_000, rounds)
        library = cpu_microseconds(theirs(their_provider, model, tokens), 300, rounds)
        times = library / resolved
        plain = plain or times
        print(f"{name:<20}{resolved:>12.2f}{new_kind:>12.1f}{library:>16.0f}{times:>8.0f}")
    print(f"goal: {GOAL_TIMES} times less CPU for a plain call; here {plain:.0f}")
    return 0 if plain >= GOAL_TIMES else 1


if __name__ == "__main__":
    sys.exit(main())
