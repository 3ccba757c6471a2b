"""Names that people write, as usage is booked under them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spanledger.config.budgets import budgets_of
from spanledger.config.names import Names
from spanledger.config.privacy import load_redaction
from spanledger.config.sections import Settings
from spanledger.config.settings import load_settings
from spanledger.core.errors import ConfigError

EMAIL, ID, LABEL = "joe@corp.example", "b1946ac92492d2347c6235b4d2611184b1946ac92492d2347c6235b4d2611184", "core"


def settings_of(salt: Path, **more: Any) -> Settings:
    salt.write_text("a salt of a decent length")
    return load_settings(None, {}, {"privacy.salt_file": str(salt)} | more)


def names_of(settings: Settings) -> Names:
    return Names(settings.privacy, settings.metrics.resource_labels)


def test_hashed_identities_have_the_hash_that_their_attribute_has(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "salt", **{"privacy.identities": "hash"})
    names, redaction = names_of(settings), load_redaction(settings.privacy)
    assert redaction is not None
    for name in (EMAIL, ID):
        booked = redaction.hashed(name)
        assert names.booked("user", name, "") == booked
        assert names.booked("user", booked, "") == booked  # as reports show it
    untouched = [("user", "*"), ("user", "unknown"), ("team", LABEL), ("team", EMAIL), ("model", EMAIL)]
    assert [names.booked(fact, name, "") for fact, name in untouched] == [name for _, name in untouched]


def test_rules_hold_for_names_as_for_attributes(tmp_path: Path) -> None:
    """By its look a name is an e-mail address or an id; a label's value is one of the label's attributes."""
    rules = [
        {"keys": ["user.email"], "action": "keep"},
        {"keys": ["user.id", "team.id"], "action": "hash"},
        {"keys": ["*"], "matching": r"\w+@[\w.]+", "action": "hash"},
    ]
    settings = settings_of(tmp_path / "salt", **{"privacy.rules": rules})
    names, redaction = names_of(settings), load_redaction(settings.privacy)
    assert redaction is not None
    assert names.booked("user", EMAIL, "") == EMAIL
    assert names.booked("user", ID, "") == redaction.hashed(ID)
    assert names.booked("team", LABEL, "") == redaction.hashed(LABEL)
    assert names.booked("cost_center", f"of {EMAIL}", "") == f"of {redaction.hashed(EMAIL)}"


def test_a_budget_that_nothing_can_count_for_is_refused(tmp_path: Path) -> None:
    dropped = {"privacy.rules": [{"keys": ["user.email"], "action": "drop"}]}
    limit = {"budgets.limits.joe": {"scope": "user", "owner": EMAIL, "period": "day", "limit_usd": 1}}
    settings = settings_of(tmp_path / "salt", **dropped, **limit)
    with pytest.raises(ConfigError, match=r"budgets\.limits\.joe\.owner: privacy drops user\.email"):
        budgets_of(settings.budgets, names_of(settings))


def test_the_salt_is_read_only_for_names_that_need_it(tmp_path: Path) -> None:
    """Whoever asks for reports need not be let at the salt."""
    settings = settings_of(tmp_path / "salt", **{"privacy.identities": "hash"})
    (tmp_path / "salt").unlink()
    assert names_of(settings).booked("model", "claude-opus-5-5", "") == "claude-opus-5-5"
    with pytest.raises(ConfigError, match="salt_file"):
        names_of(settings).booked("user", EMAIL, "")
