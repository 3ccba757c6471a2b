"""The file of tokens: tenants by token, every mistake with its line, and never a word of what stands there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from spanledger.config.tokens import load_tokens
from spanledger.core.errors import ConfigError
from spanledger.core.tenant import Tenant

TOKEN, SECOND = "correct-horse-battery", "staple-in-the-dark-room"


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def load(tmp_path: Path, text: str) -> dict[bytes, Tenant]:
    file = tmp_path / "tokens.yaml"
    file.write_text(text)
    return load_tokens(file)


def test_a_tenant_has_several_tokens_and_attributes(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        f"""
tenants:
  platform:
    tokens: [{TOKEN}, "sha256:{digest(SECOND).hex().upper()}"]
    attributes: {{team.id: core, cost_center: 4711}}
  guests:
    tokens: [a-token-for-the-guests]
""",
    )
    platform = Tenant("platform", (("cost_center", "4711"), ("team.id", "core")))
    assert found == {
        digest(TOKEN): platform,
        digest(SECOND): platform,
        digest("a-token-for-the-guests"): Tenant("guests"),
    }


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "is not YAML of keys and values"),
        ("tenants: [", None, "is not YAML of keys and values"),
        (f"{TOKEN}: platform", 1, "no such key; expected `tenants`"),
        (f"tenants:\n  platform: {TOKEN}", 2, "valid dictionary"),
        (f"tenants:\n  platform:\n    token: {TOKEN}", 3, "no such key"),
        ("tenants:\n  platform:\n    attributes: {a: b}", 2, "a tenant needs `tokens`"),
        ("tenants:\n  platform:\n    tokens: []", 3, "at least 1 item"),
        (f"tenants:\n  platform:\n    tokens: {TOKEN}", 3, "valid list"),
        (f"tenants:\n  platform:\n    tokens:\n      - {{{TOKEN}: x}}", 4, "a token is a text"),
        ("tenants:\n  platform:\n    tokens:\n      - short", 4, "at least 16 printable"),
        (f"tenants:\n  platform:\n    tokens:\n      - {TOKEN} and blank", 4, "no blank"),
        ("tenants:\n  platform:\n    tokens:\n      - sha256:beef", 4, "64 hexadecimal digits"),
        (f"tenants:\n  'a b':\n    tokens: [{TOKEN}]", 2, "a tenant's name has letters"),
        (f"tenants:\n  a: {{tokens: [{TOKEN}]}}\n  b: {{tokens: [{TOKEN}]}}", 3, "given twice"),
        (f"tenants:\n  a: {{tokens: [{TOKEN}]}}\n  a: {{tokens: [{SECOND}]}}", 3, "each key once"),
        (
            f"tenants:\n  a:\n    tokens: [{TOKEN}]\n    attributes: {{spanledger.tenant: b}}",
            4,
            "the tenant's name itself",
        ),
        (f"tenants:\n  a:\n    tokens: [{TOKEN}]\n    attributes: {{k: [v]}}", 4, "valid string"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_without_the_token(
    tmp_path: Path, text: str, line: int | None, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    told = str(caught.value)
    assert said in told
    assert line is None or f"tokens.yaml:{line}:" in told
    assert TOKEN not in told
    assert SECOND not in told


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: file of tokens cannot be read"):
        load_tokens(tmp_path / "none.yaml")
