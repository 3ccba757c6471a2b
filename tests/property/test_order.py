"""Invariant 1: the same set of records gives the same balances, whatever order, repetition, batching and timing."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.core.delivery import Delivery
from support.replaying import Replayed, feed, open_parts, read_folder, replay_folders
from support.splitting import split_records
from support.truth import CAPTURES

SECOND = 10**9
FOLDERS = (
    "s01_single_prompt",
    "s03_subagent",
    "s04d_stream_cut",
    "s06b_permission_prompts",
    "s06c_auto_mode_classifier",
    "s08_bedrock",
    "s10_cumulative",
    "s11_http_json",
    "s14_cache_1h",
    "s17b_http_503_429",
    "s18_traceparent",
    "s19_gateway",
    "s23_no_session_id",
    "older-client/s02_tools_edit_commit",
)


def in_file_order(name: str, tmp_path: Path) -> Replayed:
    return replay_folders([CAPTURES / name], tmp_path / "reference.db")


def replay_groups(groups: Sequence[Sequence[Delivery]], times: Sequence[int], path: Path) -> Replayed:
    parts = open_parts(path)
    replayed = feed(parts, groups, times)
    parts.ledger.close()
    return replayed


@pytest.mark.parametrize("name", FOLDERS)
def test_any_order_and_repetition_gives_the_same_balances(name: str, tmp_path: Path) -> None:
    reference = in_file_order(name, tmp_path)
    bodies = read_folder(CAPTURES / name)
    start = min(body.received_unix_nano or 0 for body in bodies)
    numbers = itertools.count()

    @given(st.randoms(use_true_random=False), st.sampled_from([0, SECOND // 10, 4 * SECOND, 60 * SECOND]))
    def shuffled(random_order: random.Random, pace_nano: int) -> None:
        deliveries = [body.delivery for body in bodies]
        deliveries += random_order.sample(deliveries, k=len(deliveries) // 3)
        random_order.shuffle(deliveries)
        times = [start + n * pace_nano for n in range(len(deliveries))]
        path = tmp_path / f"{next(numbers)}.db"
        replayed = replay_groups([[delivery] for delivery in deliveries], times, path)
        assert replayed.problems == []
        assert replayed.balances == reference.balances

    shuffled()


@pytest.mark.parametrize("name", FOLDERS)
def test_single_records_and_one_big_group_give_the_same_balances(name: str, tmp_path: Path) -> None:
    reference = in_file_order(name, tmp_path)
    bodies = read_folder(CAPTURES / name)
    start = max(body.received_unix_nano or 0 for body in bodies)
    records = [record for body in bodies for record in split_records(body.delivery)]
    assert len(records) > len(bodies)
    one_by_one = replay_groups([[record] for record in records], [start] * len(records), tmp_path / "single.db")
    assert one_by_one.balances == reference.balances
    together = replay_groups([records], [start], tmp_path / "together.db")
    assert together.balances == reference.balances


@pytest.mark.parametrize("name", FOLDERS)
def test_a_repetition_by_a_clock_that_stepped_back_changes_nothing(name: str, tmp_path: Path) -> None:
    bodies = read_folder(CAPTURES / name)
    start = min(body.received_unix_nano or 0 for body in bodies)
    groups = [[body.delivery] for body in bodies]
    late = replay_groups(groups, [start + 3600 * SECOND] * len(groups), tmp_path / "ledger.db")
    early = replay_groups(groups, [start] * len(groups), tmp_path / "ledger.db")
    assert early.balances == late.balances
    assert early.postings == late.postings


def test_everything_twice_is_all_duplicates_the_second_time(tmp_path: Path) -> None:
    folder = CAPTURES / "s03_subagent"
    once = replay_folders([folder], tmp_path / "ledger.db")
    again = replay_folders([folder], tmp_path / "ledger.db")
    assert again.balances == once.balances
    assert again.postings == once.postings
    assert once.duplicates == 0
    # Each of the calls has a log and a span.
    assert again.duplicates == 2 * once.figures.report.requests
