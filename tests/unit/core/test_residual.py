"""Residual: what the sums hold beyond the calls, line by line; each rule of design §4 by its name."""

from __future__ import annotations

import itertools

import pytest

from spanledger.core.control import Counts, Interval
from spanledger.core.received import Alias, ReceivedCall
from spanledger.core.residual import Held, Leftover, read_sums
from spanledger.core.usage import Speed
from support.sums import AUXILIARY, HAIKU, MAIN, OPUS, SONNET, SUBAGENT, UNKNOWN, Names, call, interval, line

A, B, C = Counts(10, 200, 3_000, 40), Counts(11, 150, 2_000, 0), Counts(500, 20, 0, 7)
NOTHING = Counts()
TEAM = "team-sonnet"


def left(spans: list[Interval], calls: list[ReceivedCall]) -> list[Leftover]:
    """What is left, as it does not depend on the order of calls."""
    reading = read_sums(spans, calls, Names())
    for shuffled in itertools.islice(itertools.permutations(calls), 24):
        assert read_sums(spans, list(shuffled), Names()) == reading
    return [one for one in reading.leftovers if any(one.counts)]


def tokens(spans: list[Interval], calls: list[ReceivedCall]) -> dict[tuple[str, str], Counts]:
    return {(one.line.model, one.line.query_class.value): one.counts for one in left(spans, calls)}


def aliases(spans: list[Interval], calls: list[ReceivedCall]) -> set[Alias]:
    return read_sums(spans, calls, Names()).aliases


def test_calls_that_make_up_the_sums_leave_nothing() -> None:
    assert left([interval(0, 60, {line(): A.plus(B)})], [call("a", 10, A), call("b", 20, B)]) == []


def test_what_no_call_explains_is_left_on_its_line() -> None:
    (found,) = left([interval(0, 60, {line(): A.plus(B)}, picousd=5)], [call("a", 10, A)])
    assert (found.line, found.counts) == (line(), B)
    assert (found.start_unix_nano, found.end_unix_nano) == (0, 60 * 10**9)
    assert found.cost_picousd == 5


def test_a_sender_with_metrics_only_is_the_same_with_no_calls() -> None:
    spans = [interval(0, 60, {line(): A, line(HAIKU, AUXILIARY): C})]
    assert tokens(spans, []) == {(OPUS, "main"): A, (HAIKU, "auxiliary"): C}


def test_an_interval_with_less_metric_than_calls_leaves_nothing_and_lends_nothing() -> None:
    """The export of (60, 120] was lost: its calls do not pay for what the interval before holds."""
    spans = [interval(0, 60, {line(): A.plus(B)})]
    assert tokens(spans, [call("a", 10, A), call("c", 90, C)]) == {(OPUS, "main"): B}
    spans.append(interval(60, 120, {line(): C}))
    more = [call("a", 10, A), call("c", 90, C), call("d", 100, A)]
    assert tokens(spans, more) == {(OPUS, "main"): B}


def test_of_each_token_class_the_residual_is_never_negative() -> None:
    """Sums of 10 input and 100 output against a call of 4 and 150: 6 input are left, and no output is owed."""
    assert tokens([interval(0, 60, {line(): Counts(10, 100)})], [call("a", 10, Counts(4, 150))]) == {
        (OPUS, "main"): Counts(6, 0)
    }


def test_a_query_class_does_not_pay_for_another() -> None:
    """A call of the main conversation that the sums lack is no classifier call that they hold."""
    spans = [interval(0, 60, {line(SONNET, AUXILIARY): A})]
    assert tokens(spans, [call("a", 10, A, model=SONNET)]) == {(SONNET, "auxiliary"): A}


@pytest.mark.parametrize("spelling", [OPUS, f"{OPUS}[1m]", OPUS.upper()])
def test_names_of_one_model_are_one_line(spelling: str) -> None:
    spans = [interval(0, 60, {line(spelling): A, line(SONNET): B})]
    assert left(spans, [call("a", 10, A, model=OPUS), call("b", 11, B, model=SONNET)]) == []
    assert tokens(spans, [call("a", 10, A, model=OPUS)]) == {(SONNET, "main"): B}


def test_the_name_that_the_span_asked_for_goes_before_the_one_that_was_served() -> None:
    """Asked Opus, and Sonnet answered: the sums have it as Opus. Beside it a Sonnet call whose log was lost."""
    spans = [interval(0, 60, {line(OPUS): A, line(SONNET): B})]
    assert tokens(spans, [call("a", 10, A, asked=OPUS, model=SONNET)]) == {(SONNET, "main"): B}


def test_a_call_whose_name_no_line_has_is_known_by_its_four_counts() -> None:
    spans = [interval(0, 60, {line(TEAM): A, line(OPUS): B})]
    assert tokens(spans, [call("a", 10, A, model=SONNET)]) == {(OPUS, "main"): B}


def test_calls_of_one_served_model_are_known_by_the_sum_of_their_counts() -> None:
    """Sonnet and Haiku answered for names that nobody knows; the log of the Opus call was lost."""
    spans = [interval(0, 60, {line(TEAM): A.plus(B), line("team-haiku"): C, line(OPUS): B})]
    calls = [call("a", 10, A, model=SONNET), call("b", 11, B, model=SONNET), call("c", 12, C, model=HAIKU)]
    assert tokens(spans, calls) == {(OPUS, "main"): B}


def test_a_gateway_alias_with_traces_off_leaves_no_residual() -> None:
    spans = [interval(0, 60, {line(TEAM): A.plus(B)})]
    assert left(spans, [call("a", 10, A, model=SONNET), call("b", 20, B, model=SONNET)]) == []


def test_of_a_gateway_alias_with_a_lost_log_only_that_call_is_left() -> None:
    spans = [interval(0, 60, {line(TEAM): A.plus(B)})]
    (found,) = left(spans, [call("a", 10, A, model=SONNET)])
    assert (found.line.model, found.counts) == (TEAM, B)
    assert found.cost_picousd is None


def test_an_alias_is_learnt_from_calls_that_make_up_its_line() -> None:
    spans = [interval(0, 60, {line(TEAM): A.plus(B)})]
    calls = [call("a", 10, A, model=SONNET), call("b", 20, B, model=SONNET)]
    assert aliases(spans, calls) == {Alias(TEAM, SONNET)}


def test_an_alias_is_learnt_beside_a_call_whose_log_was_lost() -> None:
    spans = [interval(0, 60, {line(TEAM): A.plus(B)})]
    assert aliases(spans, [call("a", 10, A, model=SONNET)]) == {Alias(TEAM, SONNET)}


def test_an_alias_is_not_guessed() -> None:
    alone = [interval(0, 60, {line(TEAM): A.plus(B)})]
    # Two models answered; the calls are more than the line holds; another line may hold the call as well.
    mixed = [call("a", 10, A, model=SONNET), call("b", 20, B, model=HAIKU)]
    assert aliases(alone, mixed) == set()
    assert aliases(alone, [call("c", 10, C, model=SONNET)]) == set()
    beside = [interval(0, 60, {line(TEAM): A.plus(B), line(OPUS): A.plus(C)})]
    assert aliases(beside, [call("a", 10, A, model=SONNET)]) == set()
    two = [interval(0, 60, {line(TEAM): A.plus(B), line("team-haiku"): A.plus(C)})]
    assert aliases(two, [call("a", 10, A, model=SONNET)]) == set()


def test_a_fast_line_and_a_standard_one_are_told_apart_by_speed_then_by_counts() -> None:
    fast, standard = line(speed=Speed.FAST), line()
    spans = [interval(0, 60, {fast: A.plus(B), standard: C})]
    calls = [call("a", 10, A, speed=Speed.FAST), call("b", 11, B, speed=Speed.FAST), call("c", 12, C)]
    assert left(spans, calls) == []
    # Asked fast and served standard: there is no line of its own speed that holds it, or none at all.
    assert left([interval(0, 60, {standard: A})], [call("a", 10, A, speed=Speed.FAST)]) == []


def test_the_sums_tell_the_speed_of_a_call_that_a_span_alone_told_of() -> None:
    span = call("a", 10, B, asked=OPUS, speed=Speed.FAST, served=False)
    spans = [interval(0, 60, {line(): B}, picousd=1)]
    assert read_sums(spans, [span], Names(), ["a"]).held == {"a": Held(line(), 1)}
    assert read_sums(spans, [span], Names()).held == {}
    # The cost is the call's alone only where the line holds nothing else.
    spans = [interval(0, 60, {line(): A.plus(B)}, picousd=1)]
    assert read_sums(spans, [span], Names(), ["a"]).held == {"a": Held(line(), None)}


def test_calls_of_unknown_speed_are_shared_out_between_a_fast_and_a_standard_line() -> None:
    """Four asked fast, and two of them were served standard: by each call's own counts any line could hold it."""
    sizes = (1, 2, 4, 8)
    asked = [call(str(n), 10, Counts(n, 9 * n, 10 * n), speed=Speed.FAST) for n in sizes]
    one, two, four, eight = (each.counts for each in asked)
    spans = [interval(0, 60, {line(speed=Speed.FAST): two.plus(four), line(): one.plus(eight)})]
    reading = read_sums(spans, asked, Names(), {each.identity for each in asked})
    standard = {name for name, held in reading.held.items() if held.line.speed is Speed.STANDARD}
    assert (standard, reading.leftovers) == ({"1", "8"}, [])


def test_a_call_of_a_word_that_we_do_not_know_is_of_the_class_whose_sums_hold_it() -> None:
    spans = [interval(0, 60, {line(HAIKU, AUXILIARY): A, line(OPUS): B})]
    strange = call("a", 10, A, model=HAIKU, query_class=UNKNOWN)
    assert tokens(spans, [strange]) == {(OPUS, "main"): B}
    assert left(spans, [strange, call("b", 11, B)]) == []


def test_of_two_classes_that_hold_a_call_of_no_known_class_the_one_with_its_model_is_taken() -> None:
    """No log of the classifier ever comes; the strange call is on Opus, and larger sums of Sonnet are not its own."""
    spans = [interval(0, 60, {line(SONNET, AUXILIARY): A.plus(A), line(OPUS): A})]
    assert tokens(spans, [call("x", 10, A, query_class=UNKNOWN)]) == {(SONNET, "auxiliary"): A.plus(A)}


def test_sums_without_a_class_are_held_against_calls_of_every_class() -> None:
    spans = [interval(0, 60, {line(OPUS, UNKNOWN): A.plus(B).plus(C)})]
    calls = [call("a", 10, A), call("b", 11, B, query_class=SUBAGENT)]
    assert tokens(spans, calls) == {(OPUS, "unknown"): C}


def test_calls_of_no_known_class_are_never_charged_again_where_no_class_holds_one_alone() -> None:
    """Half of the strange call in one class, half in another: no client does it, and it leaves nothing."""
    half = Counts(5, 100, 1_500, 20)
    spans = [interval(0, 60, {line(OPUS): half, line(HAIKU, AUXILIARY): half})]
    assert left(spans, [call("x", 10, A, query_class=UNKNOWN)]) == []


def test_several_models_in_one_class_each_keep_their_own() -> None:
    spans = [interval(0, 60, {line(OPUS, SUBAGENT): A.plus(B), line(HAIKU, SUBAGENT): C.plus(A)})]
    calls = [call("b", 10, B, query_class=SUBAGENT), call("c", 11, C, model=HAIKU, query_class=SUBAGENT)]
    assert tokens(spans, calls) == {(OPUS, "subagent"): A, (HAIKU, "subagent"): A}


def test_equal_calls_are_told_apart_by_number() -> None:
    spans = [interval(0, 60, {line(): Counts(30, 600, 9_000, 120)})]
    assert tokens(spans, [call("a", 10, A), call("b", 11, A)]) == {(OPUS, "main"): A}


def test_the_cost_of_a_line_is_not_used_where_it_may_hold_other_calls() -> None:
    """The sums lack some of a call: their cost is not that of the calls on the line and what is left."""
    spans = [interval(0, 60, {line(): Counts(100, 100)}, picousd=5)]
    (found,) = left(spans, [call("a", 10, Counts(10, 150))])
    assert (found.counts, found.cost_picousd) == (Counts(90, 0), None)


def test_overlapping_processes_of_a_session_are_held_against_all_its_calls() -> None:
    spans = [interval(0, 90, {line(): A.plus(B).plus(C)})]
    assert tokens(spans, [call("a", 10, A), call("b", 80, B)]) == {(OPUS, "main"): C}


def test_a_cut_attempt_and_its_retry_are_one_call_and_one_residual() -> None:
    """The sums hold the tokens of both, the log event those of the last one."""
    cut = A._replace(output=3)
    assert tokens([interval(0, 60, {line(): A.plus(cut)})], [call("a", 10, A)]) == {(OPUS, "main"): cut}


def test_a_late_log_takes_its_tokens_out_of_the_residual() -> None:
    spans = [interval(0, 60, {line(): A.plus(B)})]
    assert tokens(spans, [call("a", 10, A)]) == {(OPUS, "main"): B}
    assert left(spans, [call("a", 10, A), call("b", 20, B)]) == []


def test_a_call_without_tokens_changes_nothing() -> None:
    spans = [interval(0, 60, {line(): A})]
    assert tokens(spans, [call("z", 10, NOTHING), call("y", 10, NOTHING, query_class=UNKNOWN)]) == {(OPUS, "main"): A}
    assert tokens(spans, [call("z", 10, NOTHING, query_class=MAIN, model=HAIKU)]) == {(OPUS, "main"): A}
