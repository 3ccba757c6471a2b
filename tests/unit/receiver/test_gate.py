"""The gate: who may send, and whether there is room."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from spanledger.config.receivers import Receiver
from spanledger.core.delivery import Undecided
from spanledger.core.errors import PermanentError, RetryableError
from spanledger.core.events import Event
from spanledger.core.reasons import Reason
from spanledger.receiver.auth import Tokens
from spanledger.receiver.gate import Gate
from spanledger.telemetry import Counter, Counters
from support.logged import messages_of

TOKEN = "correct-horse-battery"


def test_there_is_room_for_so_many_requests_and_again_when_one_is_answered() -> None:
    gate = Gate(Receiver(max_concurrent_requests=2), Counters())
    with gate.enter(None):
        with gate.enter(None), pytest.raises(RetryableError) as caught:
            gate.enter(None)
        assert (caught.value.reason, caught.value.retry_after_seconds) == (Reason.TOO_BUSY, 1.0)
        with gate.enter(None):
            pass


def test_there_is_room_for_so_many_bytes_over_all_requests() -> None:
    gate = Gate(Receiver(max_request_bytes=10, max_inflated_bytes=10, max_buffered_bytes=20), Counters())
    with gate.enter(None) as first, gate.enter(None) as second:
        first.hold(15)
        second.hold(5)
        with pytest.raises(RetryableError):
            second.hold(1)
    with gate.enter(None) as third:
        third.hold(20)


def test_what_is_undecided_takes_room_as_what_is_in_work_does() -> None:
    """A sender that gives up leaves its request behind: the next one must not find room for it twice."""
    left = Undecided(deliveries=1, bytes=15)
    limits = Receiver(max_concurrent_requests=2, max_request_bytes=10, max_inflated_bytes=10, max_buffered_bytes=20)
    gate = Gate(limits, Counters(), undecided=lambda: left)
    with gate.enter(None) as passage:
        with pytest.raises(RetryableError, match="too many requests at once"):
            gate.enter(None)
        passage.hold(5)
        with pytest.raises(RetryableError, match="too many bytes at once"):
            passage.hold(1)
        left = Undecided()
        passage.hold(15)
        with gate.enter(None):
            pass


def test_a_request_that_fails_leaves_its_room() -> None:
    gate = Gate(Receiver(max_concurrent_requests=1), Counters())

    def fail() -> None:
        with gate.enter(None) as passage:
            passage.hold(100)
            raise KeyError

    for _ in range(3):
        with pytest.raises(KeyError):
            fail()


def test_refusals_and_closed_connections_are_counted_by_reason() -> None:
    counters = Counters()
    gate = Gate(Receiver(), counters)
    gate.refused(Reason.TOO_BUSY)
    gate.refused(Reason.TOO_BUSY)
    gate.refused(Reason.BODY_TOO_LARGE)
    gate.closed(Reason.IDLE_CONNECTION)
    assert counters.by_label(Counter.REFUSED) == {Reason.TOO_BUSY: 2, Reason.BODY_TOO_LARGE: 1}
    assert counters.snapshot()[Counter.REFUSED] == 3
    assert counters.by_label(Counter.CONNECTIONS_CLOSED) == {Reason.IDLE_CONNECTION: 1}
    assert counters.snapshot()[Counter.DROPPED] == 0


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    file = tmp_path / "tokens.yaml"
    file.write_text(f"tenants: {{a: {{tokens: [{TOKEN}]}}}}")
    return Tokens(file)


def test_a_token_stands_for_its_tenant(tokens: Tokens) -> None:
    for authorization in (f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer  {TOKEN} "):
        assert tokens.tenant_of(authorization).name == "a"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer ü"])
def test_nobody_else_gets_in_and_no_word_of_the_token_is_told(tokens: Tokens, authorization: str | None) -> None:
    with pytest.raises(PermanentError) as caught:
        tokens.tenant_of(authorization)
    assert caught.value.reason is Reason.UNAUTHENTICATED
    assert TOKEN not in str(caught.value)


def test_what_a_token_is_looked_up_by_is_known_to_this_process_alone(tokens: Tokens, tmp_path: Path) -> None:
    """So that how long a look-up takes tells nothing: nobody can choose tokens by the beginning of what is compared."""
    digest = hashlib.sha256(TOKEN.encode()).digest()
    (name,), (again,) = tokens._tenants, Tokens(tmp_path / "tokens.yaml")._tenants
    assert len({name, again, digest, TOKEN.encode()}) == 4
    assert tokens._tenants[name][0] == name


def test_a_token_that_comes_while_a_file_is_gone_still_holds(
    tokens: Tokens, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tokens.yaml").unlink()
    for _ in range(3):
        assert tokens.tenant_of(f"Bearer {TOKEN}").name == "a"
    assert len(messages_of(caplog, Event.RECEIVER_TOKENS_REFUSED)) == 1
    assert TOKEN not in caplog.text
