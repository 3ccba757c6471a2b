"""Which rule changes an attribute, and which attributes no rule touches."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spanledger.config.privacy import load_redaction
from spanledger.config.settings import load_settings
from spanledger.core.content_keys import CONTENT_KEYS
from spanledger.core.redaction import IDENTITY_KEYS, PROTECTED_KEYS, Action, Redaction, RedactionRule
from spanledger.core.semconv import DEFAULT_RESOURCE_LABELS, In, Out
from spanledger.service.captures import find_folders
from spanledger.service.replay import Replay
from support.replaying import open_parts, replay_folders
from support.truth import CAPTURES

FOLDERS = [CAPTURES / "s02_tools_edit_commit", CAPTURES / "s03_subagent"]
EVERYTHING = Redaction([RedactionRule(("*",), Action.DROP)], b"")


@pytest.mark.parametrize("key", sorted(PROTECTED_KEYS))
def test_no_rule_touches_what_cost_is_made_of(key: str) -> None:
    assert EVERYTHING.rules_for(key) == ()
    assert Redaction([RedactionRule((key,), Action.HASH)], b"").rules_for(key) == ()


@pytest.mark.parametrize("key", ["user.id", "user.account_uuid", "user.account_id"])
def test_a_pattern_does_not_drop_what_tells_senders_apart(key: str) -> None:
    """Named in a rule it is a mistake of configuration; a pattern passes over it to the next rule."""
    assert EVERYTHING.rules_for(key) == ()
    hashed = RedactionRule(IDENTITY_KEYS, Action.HASH)
    assert Redaction([RedactionRule(("user.*",), Action.DROP), hashed], b"").rules_for(key) == (hashed,)


def test_a_pattern_drops_an_email() -> None:
    (rule,) = EVERYTHING.rules_for("user.email")
    assert rule.action is Action.DROP


EMAILS = RedactionRule(("*",), Action.HASH, re.compile(r"[\w.]+@[\w.]+"))
DIGITS = RedactionRule(("*",), Action.DROP, re.compile(r"[0-9]+"))
EXEMPT = RedactionRule(("note",), Action.KEEP)
HASHED = RedactionRule(("note",), Action.HASH)
DROPPED = RedactionRule(("note",), Action.DROP)


@pytest.mark.parametrize(
    ("rules", "asked"),
    [
        ((DIGITS, HASHED), (HASHED,)),
        ((DIGITS, DROPPED, HASHED), (DROPPED,)),
        ((EMAILS, DIGITS), (EMAILS, DIGITS)),
        ((EMAILS, EXEMPT, DIGITS, DROPPED), (EMAILS,)),
        ((EXEMPT, EMAILS), ()),
        ((DROPPED, EMAILS), (DROPPED,)),
    ],
)
def test_a_rule_for_parts_leaves_the_rules_behind_it_asked(
    rules: tuple[RedactionRule, ...], asked: tuple[RedactionRule, ...]
) -> None:
    """Whatever is for the whole value ends the search; hashed or dropped as a whole, parts do not matter."""
    assert Redaction(rules, b"").rules_for("note") == asked


def test_parts_go_by_every_rule_and_a_whole_is_hashed_as_it_came() -> None:
    """A person has one hash, whether another rule looks for parts of the name or not."""
    redaction = Redaction([], b"salt")
    assert redaction.redacted((DIGITS, EMAILS), "call 42 a@b.c") == f"call [dropped] {redaction.hashed('a@b.c')}"
    assert redaction.redacted(Redaction([DIGITS, HASHED], b"salt").rules_for("note"), "a1") == redaction.hashed("a1")


def test_content_is_nothing_that_is_read_labelled_or_written() -> None:
    content = RedactionRule(CONTENT_KEYS, Action.DROP)
    assert [key for key in (*In, *Out, *DEFAULT_RESOURCE_LABELS) if content.concerns(key)] == []


def test_dropping_everything_else_changes_no_total(tmp_path: Path) -> None:
    labels = {"keys": [*DEFAULT_RESOURCE_LABELS], "action": "keep"}  # without them all cost would be unallocated
    settings = load_settings(None, {}, {"privacy": {"rules": [labels, {"keys": ["*"], "action": "drop"}]}})
    redaction = load_redaction(settings.privacy)
    assert redaction is not None
    parts = open_parts(tmp_path / "ledger.db", forward=False)
    figures = Replay(parts.ledger, parts.pipeline, parts.meter, None, redaction).run(find_folders(FOLDERS), str)
    parts.ledger.close()
    reference = replay_folders(FOLDERS, tmp_path / "reference.db").figures
    assert figures.disagreements == ()
    assert figures.report.cost_picousd == reference.report.cost_picousd
    assert figures.client_cost_picousd == reference.client_cost_picousd
    assert figures.metrics == reference.metrics


@pytest.mark.parametrize(
    ("key", "concerned"),
    [
        ("gen_ai.prompt", True),
        ("gen_ai.prompt.0.content", True),
        ("llm.input_messages.3.message.content", True),
        ("session.annotation.explanation", True),
        ("Prompt", False),
        ("my.prompt", False),
        ("prompt_length", False),
        ("gen_ai.usage.completion_tokens", False),
        ("message.uuid", False),
    ],
)
def test_patterns_are_as_in_file_names(key: str, concerned: bool) -> None:
    assert RedactionRule(CONTENT_KEYS, Action.DROP).concerns(key) is concerned
