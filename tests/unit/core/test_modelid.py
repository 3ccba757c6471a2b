"""Model ids: decoration comes off, and nothing else."""

from __future__ import annotations

import pytest

from spanledger.config.prices import load_price_book
from spanledger.core.modelid import ModelName, ProviderForm, normalise

FIRST_PARTY, BEDROCK, VERTEX = ProviderForm.FIRST_PARTY, ProviderForm.BEDROCK, ProviderForm.VERTEX
APPLICATION_PROFILE = "arn:aws:bedrock:us-east-1:123:application-inference-profile/abc"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("claude-opus-5-5", ModelName("claude-opus-5-5")),
        (" Claude-Opus-5-5 ", ModelName("claude-opus-5-5")),
        ("claude-sonnet-4-5[1m]", ModelName("claude-sonnet-4-5")),
        ("claude-sonnet-4-5-20250929[1m]", ModelName("claude-sonnet-4-5-20250929")),
        ("anthropic/claude-sonnet-4-5", ModelName("claude-sonnet-4-5")),
        ("us.anthropic.claude-opus-5-5", ModelName("claude-opus-5-5", BEDROCK, "us")),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", ModelName("claude-sonnet-4-5-20250929", BEDROCK)),
        ("global.anthropic.claude-opus-4-6-v1", ModelName("claude-opus-4-6", BEDROCK, "global")),
        ("bedrock/converse/eu.anthropic.claude-opus-5", ModelName("claude-opus-5", BEDROCK, "eu")),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5-5",
            ModelName("claude-opus-5-5", BEDROCK, "us", region="us-east-1"),
        ),
        (APPLICATION_PROFILE, ModelName(APPLICATION_PROFILE, BEDROCK, region="us-east-1", opaque=True)),
        ("claude-sonnet-4-5@20250929", ModelName("claude-sonnet-4-5-20250929", VERTEX)),
        ("vertex_ai/claude-opus-4-8@default", ModelName("claude-opus-4-8", VERTEX)),
        # No near miss is bent into a known name.
        ("claude-opus-5-5-preview", ModelName("claude-opus-5-5-preview")),
        ("my-claude-opus-5-5", ModelName("my-claude-opus-5-5")),
        ("", ModelName("")),
    ],
)
def test_normalise(raw: str, expected: ModelName) -> None:
    assert normalise(raw) == expected


@pytest.mark.parametrize(
    ("raw", "model"),
    [
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5-20250929"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("claude-opus-5-5-20260922", "claude-opus-5-5"),
        ("claude-opus-5-5-2026092", None),
        ("claude-opus-5-5-latest", "claude-opus-5-5"),
        ("claude-sonnet-4-5-latest", "claude-sonnet-4-5-20250929"),
        ("claude-sonnet-4-5-20251212", None),  # a snapshot that is not listed
        ("claude-opus-5-5-20261350", None),  # no date
        ("claude-opus-5-5-latest-20260922", None),
        ("anthropic/claude-4.6-opus-20260205", "claude-opus-4-6"),
        ("anthropic/claude-opus-4.6", "claude-opus-4-6"),
        ("anthropic/claude-4.5-sonnet-20250929", "claude-sonnet-4-5-20250929"),
        ("anthropic/claude-5-opus", "claude-opus-5"),
        ("anthropic/claude-3.5-haiku", "claude-3-5-haiku-20241022"),
        ("anthropic/claude-3.5-sonnet", None),  # two snapshots
        ("claude-4.9-opus", None),
        ("claude-hai\u212au-5-5", None),  # a Kelvin sign is no k
        ("claude-opus-5-5-\u0662\u0660\u0662\u0666\u0660\u0669\u0662\u0662", None),
        ("claude-opus-5-55", None),
        ("claude-opus-9-9", None),
        (APPLICATION_PROFILE, None),
    ],
)
def test_a_name_is_found_exactly_or_not_at_all(raw: str, model: str | None) -> None:
    prices = load_price_book().resolve(raw).prices
    assert (None if prices is None else prices.id) == model
