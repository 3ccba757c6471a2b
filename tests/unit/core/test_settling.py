"""Settling: which records are one call, and which are charged when."""

from __future__ import annotations

import itertools

import pytest

from spanledger.core.settling import Policy, Sighting, settle
from spanledger.core.usage import Evidence, QueryClass, Source, Tokens, UsageRecord

SECOND = 10**9
POLICY = Policy(join_window_nano=10 * SECOND, join_tolerance_nano=5 * SECOND, clock_skew_max_nano=SECOND)


def sighting(
    evidence: Evidence,
    name: str,
    at_seconds: float,
    *,
    request_id: str = "",
    received_seconds: float = 0,
    parent: str = "",
) -> Sighting:
    record = UsageRecord(
        evidence=evidence,
        identity=request_id or f"{evidence}:{name}",
        bucket=request_id or "join:1",
        digest=f"{evidence}:{name}",
        source=Source(),
        model="claude-opus-5-5",
        tokens=Tokens(input=1, cache_write_5m=int(name == "full"), cache_write_unspecified=int(name == "unsplit")),
        time_unix_nano=int(at_seconds * SECOND),
        query_class=QueryClass.MAIN,
        request_id=request_id,
        trace_id="aa" if parent else "",
        parent_span_id=parent,
    )
    return Sighting(record, int(received_seconds * SECOND))


def charged(sightings: list[Sighting], now_seconds: float) -> set[str]:
    return {s.record.digest for s in settle(sightings, POLICY, int(now_seconds * SECOND)).charged}


def test_a_log_is_charged_at_once_and_its_span_never() -> None:
    both = [
        sighting(Evidence.SPAN, "a", 0, request_id="req"),
        sighting(Evidence.LOG, "a", 0, request_id="req", received_seconds=3),
    ]
    assert charged(both, 3) == {"log:a"}
    assert charged(both, 100) == {"log:a"}
    assert settle(both, POLICY, 0).wait_until_unix_nano is None


def test_a_lone_span_is_charged_when_its_window_has_closed() -> None:
    span = [sighting(Evidence.SPAN, "a", 0, request_id="req", received_seconds=2)]
    before = settle(span, POLICY, 12 * SECOND - 1)
    assert before.charged == ()
    assert before.wait_until_unix_nano == 12 * SECOND
    after = settle(span, POLICY, 12 * SECOND)
    assert [s.record.digest for s in after.charged] == ["span:a"]
    assert after.wait_until_unix_nano is None


@pytest.mark.parametrize(
    ("now_seconds", "waits"), [(-8, False), (-7.999, True), (2, True), (11.999, True), (12, False)]
)
def test_a_lone_span_that_seems_to_come_in_more_than_a_window_has_waited(now_seconds: float, waits: bool) -> None:
    """It came at 2 s; only a clock that was set back since can say that that is more than 10 s from now."""
    span = [sighting(Evidence.SPAN, "a", 0, request_id="req", received_seconds=2)]
    assert (charged(span, now_seconds) == set()) is waits


def test_of_conflicting_logs_the_fuller_one_wins_in_any_order() -> None:
    unsplit = sighting(Evidence.LOG, "unsplit", 0, request_id="req")
    full = sighting(Evidence.LOG, "full", 0, request_id="req")
    assert charged([unsplit, full], 0) == charged([full, unsplit], 0) == {"log:full"}


@pytest.mark.parametrize(("apart_seconds", "charges"), [(0, 1), (5, 1), (-5, 1), (5.001, 2), (-5.001, 2)])
def test_without_request_id_time_decides_whether_it_is_one_call(apart_seconds: float, charges: int) -> None:
    pair = [sighting(Evidence.LOG, "a", 100), sighting(Evidence.SPAN, "a", 100 + apart_seconds)]
    assert len(charged(pair, 1000)) == charges


def test_equal_calls_in_one_bucket_pair_one_to_one() -> None:
    calls = [
        *(sighting(Evidence.LOG, f"l{at}", at) for at in (0, 1, 2)),
        *(sighting(Evidence.SPAN, f"s{at}", at) for at in (0.03, 1.03, 2.03, 3.03)),
    ]
    for order in itertools.permutations(calls, len(calls)):
        assert charged(list(order), 1000) == {"log:l0", "log:l1", "log:l2", "span:s3.03"}


def test_pairing_leaves_as_few_alone_as_can_be() -> None:
    # The log at 4 could take either span; only the span at 8 can take no other.
    calls = [
        sighting(Evidence.LOG, "l0", 0),
        sighting(Evidence.LOG, "l4", 4),
        sighting(Evidence.SPAN, "s2", 2),
        sighting(Evidence.SPAN, "s8", 8),
    ]
    assert charged(calls, 1000) == {"log:l0", "log:l4"}


def test_a_log_outside_a_turn_takes_a_span_that_no_log_of_its_place_takes() -> None:
    """Captures of 2.1.197: the title's log names no trace; its span is in the turn, as is the turn's own call."""
    calls = [
        sighting(Evidence.LOG, "turn", 1, parent="bb"),
        sighting(Evidence.LOG, "title", 1),
        sighting(Evidence.SPAN, "turn", 1.02, parent="bb"),
        sighting(Evidence.SPAN, "title", 1.01, parent="bb"),
    ]
    for order in itertools.permutations(calls):
        assert charged(list(order), 1000) == {"log:turn", "log:title"}


def test_a_log_of_another_place_takes_no_span() -> None:
    pair = [sighting(Evidence.LOG, "a", 1, parent="bb"), sighting(Evidence.SPAN, "b", 1, parent="cc")]
    assert charged(pair, 1000) == {"log:a", "span:b"}


def test_the_call_of_a_span_is_its_log() -> None:
    calls = settle([sighting(Evidence.LOG, "a", 0), sighting(Evidence.SPAN, "a", 1)], POLICY, 0).calls
    assert calls == {"log:a": "log:a", "span:a": "log:a"}
