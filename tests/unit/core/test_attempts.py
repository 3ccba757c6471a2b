"""Aborted attempts: which calls' excess is made up of residuals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger.core.attempts import explained_by_residuals


@pytest.mark.parametrize(
    ("excesses", "residuals", "expected"),
    [
        ({"a": 11_005_600_000}, [5_415_200_000, 5_590_400_000], {"a"}),  # capture s04d: two attempts in two intervals
        ({"a": 5_000_000, "b": 7_000_000}, [12_000_000], {"a", "b"}),  # both calls' attempts in one interval
        ({"a": 5_000_000, "b": 7_000_000}, [7_000_000], {"b"}),
        ({"a": 5_000_000, "b": 5_000_000}, [5_000_000], {"a"}),  # one residual explains one call
        ({"a": 5_000_400}, [5_000_000], {"a"}),  # summed in doubles
        ({"a": 5_010_000}, [5_000_000], set()),
        ({"a": 5_000_000}, [], set()),
        ({}, [5_000_000], set()),
    ],
)
def test_a_residual_explains_what_it_makes_up(
    excesses: dict[str, int], residuals: list[int], expected: set[str]
) -> None:
    assert explained_by_residuals(excesses, residuals) == expected


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=2), st.integers(10_000, 10**9), max_size=4),
    st.lists(st.integers(10_000, 10**9), max_size=6),
    st.randoms(use_true_random=False),
)
def test_the_order_of_residuals_does_not_matter_and_no_more_is_explained_than_there_is(
    excesses: dict[str, int], residuals: list[int], order
) -> None:
    found = explained_by_residuals(excesses, residuals)
    shuffled = residuals.copy()
    order.shuffle(shuffled)
    assert explained_by_residuals(excesses, shuffled) == found
    assert sum(excesses[identity] for identity in found) <= sum(residuals) + 1_000 * len(found)
