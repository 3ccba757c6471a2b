"""Calls that may lie in more than one interval of the client's sums are charged once."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.booking import open_books
from support.telling import NOW, SECOND, Client, Usage

MODEL = "claude-opus-5-5"
MILLISECOND = SECOND // 1000

client = Client()


def usd(input_tokens: int, output: int, read: int) -> float:
    return (input_tokens * 4 + output * 20 + read * 0.2) / 1e6


# Two processes of one session. A call: its end in s, input, output, cache read; a sum: start and end, the same tokens.
CALLS = [
    (25.327, 156, 1537, 9490),
    (67.166, 277, 1179, 3609),
    (69.754, 273, 2329, 26273),
    (90.532, 215, 1073, 28170),
    (102.202, 36, 1306, 13424),
    (140.709, 206, 603, 18061),
    (158.149, 243, 2497, 4640),
]
SUMS = [
    (24.936, 60, 156, 1537, 9490),
    (60, 120, 492, 2252, 31779),
    (120, 180, 206, 603, 18061),
    (69.586, 77, 273, 2329, 26273),
    (77, 137, 36, 1306, 13424),
    (137, 178, 243, 2497, 4640),
]


@pytest.mark.parametrize("late_seconds", [0, 300])
def test_a_short_interval_of_one_process_within_a_long_one_of_another(late_seconds: int, tmp_path: Path) -> None:
    """1,406 input x 4 + 10,524 output x 20 + 103,667 read x 0.2 = 236,837.4 micro-USD, all of it with log events."""
    logs = [
        (end + 5, client.log(f"req_{number}", MODEL, Usage(*tokens), at=NOW + int(end * SECOND), cost_usd=usd(*tokens)))
        for number, (end, *tokens) in enumerate(CALLS)
    ]
    sums = [
        (
            end + late_seconds,
            client.sums(MODEL, Usage(*tokens), usd(*tokens), start=NOW + int(start * SECOND), end=NOW + end * SECOND),
        )
        for start, end, *tokens in SUMS
    ]
    with open_books(tmp_path / "ledger.db") as books:
        for at, delivery in sorted([*logs, *sums], key=lambda one: one[0]):
            books.take(delivery, at=NOW + int(at * SECOND))
        books.rest()
        assert (books.cost_usd, books.residuals) == ("0.2368374", [])


@pytest.mark.parametrize("calls", [4, 5, 8, 20])
@pytest.mark.parametrize("after", [True, False], ids=["after the last interval", "before the first"])
def test_many_calls_at_a_border_with_nothing_behind_it(after: bool, calls: int, tmp_path: Path) -> None:
    """Each 500 output x 20 = a cent. Their sums are in the interval; their times are just outside of it."""
    border = NOW if after else NOW - 60 * SECOND
    step = 10 * MILLISECOND
    times = [border + (100 * MILLISECOND + step * n if after else -step * (n + 1)) for n in range(calls)]
    logs = [client.log(f"req_{n}", MODEL, Usage(0, 500, 0), at=at, cost_usd=0.01) for n, at in enumerate(times)]
    sums = client.sums(MODEL, Usage(0, 500 * calls, 0), 0.01 * calls, start=NOW - 60 * SECOND, end=NOW)
    for number, order in enumerate(([sums, *logs], [*logs, sums])):
        with open_books(tmp_path / f"{number}.db") as books:
            books.take(*order, at=NOW + 5 * SECOND).rest()
            assert (books.cost_usd, books.residuals) == (f"{calls / 100:.2f}".rstrip("0"), [])


def test_a_line_that_nobody_can_have_used_is_charged_within_64_bits(tmp_path: Path) -> None:
    """Opus 4.1, 10^10 tokens of each class: 10^4 x ($15 + $75 + $1.50 + $18.75) = $1,102,500; and more is taken."""
    most = Usage(10**15, 10**15, 10**15, 10**15)
    with open_books(tmp_path / "ledger.db") as books:
        for n in range(30):
            made_up = client.sums("claude-opus-4-1", most, 999_999.0, start=NOW, end=NOW + (60 + n) * SECOND, n=n)
            books.take(made_up, at=NOW + 100 * SECOND)
        assert books.rest().cost_usd == "1102500"
        books.take(client.log("req_1", "claude-opus-4-1", Usage(output=1000)), at=NOW + 1000 * SECOND)
        assert books.rest().cost_usd == "1102500.075"
