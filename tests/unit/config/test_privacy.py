"""The privacy section: what may be asked for, and what the redaction then does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spanledger.config.privacy import load_redaction
from spanledger.config.settings import load_settings
from spanledger.core.errors import ConfigError
from spanledger.core.redaction import Action


def problems_of(**privacy: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, {}, {"privacy": privacy})
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("privacy", "said"),
    [
        ({"identities": "hash"}, "salt_file: `hash` needs one"),
        ({"identities": "drop"}, "cost needs to tell senders apart"),
        ({"rules": [{"keys": ["model"], "action": "drop"}]}, "model: cost is made of it"),
        ({"rules": [{"keys": ["user.id"], "action": "drop"}]}, "use `action: hash`"),
        ({"rules": [{"keys": ["x"], "action": "drop", "matching": "("}]}, "is not a regular expression"),
        ({"rules": [{"keys": ["x"], "action": "keep", "matching": "a"}]}, "goes with `hash` or `drop`"),
        ({"rules": [{"keys": [], "action": "drop"}]}, "at least 1 item"),
        ({"rules": [{"keys": ["x"], "action": "burn"}]}, "'keep', 'hash' or 'drop'"),
    ],
)
def test_what_would_harm_is_refused_with_the_way_out(privacy: dict[str, Any], said: str) -> None:
    assert any(said in problem for problem in problems_of(**privacy))


def test_a_salt_must_be_there_and_long_enough(tmp_path: Path) -> None:
    salt = tmp_path / "salt"
    settings = load_settings(None, {}, {"privacy": {"identities": "hash", "salt_file": str(salt)}})
    with pytest.raises(ConfigError, match="cannot be read"):
        load_redaction(settings.privacy)
    salt.write_text("short\n")
    with pytest.raises(ConfigError, match="has 5 bytes, at least 16 are needed"):
        load_redaction(settings.privacy)


def test_by_default_everything_is_kept() -> None:
    assert load_redaction(load_settings(None, {}, {}).privacy) is None


def test_rules_come_before_the_sections_own(tmp_path: Path) -> None:
    salt = tmp_path / "salt"
    salt.write_text("a salt of a decent length\n")
    privacy = {
        "identities": "hash",
        "content": "drop",
        "salt_file": str(salt),
        "rules": [{"keys": ["user.email"], "action": "drop"}, {"keys": ["prompt*"], "action": "keep"}],
    }
    redaction = load_redaction(load_settings(None, {}, {"privacy": privacy}).privacy)
    assert redaction is not None
    found = {key: redaction.rules_for(key) for key in ("user.email", "user.id", "prompt", "user_prompt", "model")}
    assert {key: [rule.action for rule in rules] for key, rules in found.items()} == {
        "user.email": [Action.DROP],
        "user.id": [Action.HASH],
        "prompt": [],
        "user_prompt": [Action.DROP],
        "model": [],
    }
