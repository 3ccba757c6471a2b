"""Forwarding and metric export against a scripted destination: nothing is lost, doubled or sent out of turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import pytest

from spanledger.core.delivery import Payload
from spanledger.core.events import Event
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Deferred, Outcome, Refused
from spanledger.exporter.forward import Forwarder
from spanledger.exporter.metrics import MetricsExporter, Part, Sent
from spanledger.exporter.retry import Backoff
from spanledger.telemetry import Counter, Counters
from support.logged import messages_of

TIMEOUT_SECONDS = 30
INSTANT = Backoff(1e-9, 1e-9, 1e-9, Random(1))


@dataclass(slots=True)
class MemoryOutbox:
    """The outbox's promises on lists."""

    waiting: list[Payload]
    removed: list[int] = field(default_factory=list)
    aside: list[tuple[int, str]] = field(default_factory=list)
    empty: asyncio.Event = field(default_factory=asyncio.Event)
    full_for: int = 0
    """How many changes the disk does not take before it takes them."""

    async def departures(self, signal: Signal, max_bytes: int) -> Sequence[Payload]:
        batch: list[Payload] = []
        for payload in self.waiting:
            if payload.signal is signal and (not batch or sum(len(p.body) for p in [*batch, payload]) <= max_bytes):
                batch.append(payload)
        if not self.waiting:
            self.empty.set()
        return batch

    async def remove(self, payloads: Sequence[Payload]) -> bool:
        if self._refuses():
            return False
        self.removed += [payload.id for payload in payloads]
        self._drop(payloads)
        return True

    async def set_aside(self, payloads: Sequence[Payload], why: str) -> bool:
        if self._refuses():
            return False
        self.aside += [(payload.id, why) for payload in payloads]
        self._drop(payloads)
        return True

    def _refuses(self) -> bool:
        self.full_for -= 1
        return self.full_for >= 0

    def _drop(self, payloads: Sequence[Payload]) -> None:
        gone = {payload.id for payload in payloads}
        self.waiting = [payload for payload in self.waiting if payload.id not in gone]


@dataclass(slots=True)
class ScriptedClient:
    """Answers with the next of `answers`, then takes everything but the bodies in `poison`."""

    answers: list[Outcome] = field(default_factory=list)
    poison: bytes = b"\0"
    sent: list[tuple[Signal, bytes]] = field(default_factory=list)

    async def export(self, signal: Signal, body: bytes) -> Outcome:
        self.sent.append((signal, body))
        if self.answers:
            return self.answers.pop(0)
        return Refused("poison") if self.poison in body else Accepted()

    async def close(self) -> None:
        pass


def payloads(*bodies: bytes, signal: Signal = Signal.LOGS) -> list[Payload]:
    return [Payload(number, signal, body) for number, body in enumerate(bodies)]


def drain(outbox: MemoryOutbox, client: ScriptedClient, *, max_batch_bytes: int = 100) -> Counters:
    """Run until the outbox is empty, then stop."""
    counters = Counters()

    async def run() -> None:
        forwarder = Forwarder(outbox, "default", client, INSTANT, counters, max_batch_bytes=max_batch_bytes)
        running = asyncio.create_task(forwarder.run())
        await asyncio.wait_for(outbox.empty.wait(), TIMEOUT_SECONDS)
        forwarder.stop()
        await asyncio.wait_for(running, TIMEOUT_SECONDS)

    asyncio.run(run())
    return counters


def test_payloads_go_together_up_to_a_size_in_order() -> None:
    client = ScriptedClient()
    drain(MemoryOutbox(payloads(b"aa", b"bb", b"cc", b"d" * 9)), client, max_batch_bytes=4)
    assert [body for _, body in client.sent] == [b"aabb", b"cc", b"d" * 9]


def test_a_deferred_batch_is_sent_again_byte_for_byte() -> None:
    client = ScriptedClient([Deferred("away"), Deferred("away"), Accepted()])
    counters = drain(MemoryOutbox(payloads(b"a", b"b")), client)
    assert [body for _, body in client.sent] == [b"ab"] * 3
    assert counters.snapshot()[Counter.EXPORTS_RETRIED] == 2


def test_only_the_bad_payload_of_a_refused_batch_is_set_aside() -> None:
    outbox, client = MemoryOutbox(payloads(b"a", b"\0", b"c")), ScriptedClient()
    counters = drain(outbox, client)
    assert (outbox.removed, outbox.aside) == ([0, 2], [(1, "poison")])
    assert counters.snapshot()[Counter.PAYLOADS_SET_ASIDE] == 1


def test_a_deferral_while_singling_out_loses_no_place() -> None:
    client = ScriptedClient([Refused("batch"), Accepted(), Deferred("away")])
    outbox = MemoryOutbox(payloads(b"a", b"b", b"c"))
    drain(outbox, client)
    assert outbox.aside == []
    assert [body for _, body in client.sent] == [b"abc", b"a", b"b", b"bc"]


def test_a_destination_that_goes_away_while_singling_out_is_given_its_pause() -> None:
    client = ScriptedClient([Refused("batch"), Accepted(), Deferred("away")])
    counters = drain(MemoryOutbox(payloads(b"a", b"b", b"c")), client)
    assert counters.snapshot()[Counter.EXPORTS_RETRIED] == 1


def test_forwarded_payloads_are_counted_one_by_one() -> None:
    client = ScriptedClient()
    counters = drain(MemoryOutbox(payloads(b"aa", b"bb", b"cc")), client, max_batch_bytes=4)
    assert len(client.sent) == 2
    assert counters.snapshot()[Counter.PAYLOADS_FORWARDED] == 3


@pytest.mark.parametrize(
    ("bodies", "sent"),
    [
        ([b"a", b"b"], [b"ab"]),
        ([b"\0"], [b"\0"]),
        # The batch is refused and singled out: a is taken, and not sent again. What waits behind it is then sent.
        ([b"a", b"\0", b"c"], [b"a\0c", b"a", b"\0c", b"\0", b"c"]),
    ],
)
def test_nothing_is_sent_while_what_was_answered_cannot_be_taken_out(bodies: list[bytes], sent: list[bytes]) -> None:
    client, outbox = ScriptedClient(), MemoryOutbox(payloads(*bodies), full_for=7)
    counters = drain(outbox, client)
    assert [body for _, body in client.sent] == sent
    poisoned = bodies.count(b"\0")
    assert counters.snapshot()[Counter.PAYLOADS_FORWARDED] == len(outbox.removed) == len(bodies) - poisoned
    assert counters.snapshot()[Counter.PAYLOADS_SET_ASIDE] == len(outbox.aside) == poisoned


def test_what_a_destination_says_of_a_part_that_it_refused_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        drain(MemoryOutbox(payloads(b"a")), ScriptedClient([Accepted(3, "too old")]))
        drain(MemoryOutbox(payloads(b"b")), ScriptedClient([Accepted(0, "use another name")]))
    assert messages_of(caplog, Event.DESTINATION_REFUSED_PART) == [
        "destination default took logs, but refused 3 records of it: too old",
        "destination default took logs, but refused 0 records of it: use another name",
    ]


def test_records_that_the_destination_rejects_are_counted() -> None:
    counters = drain(MemoryOutbox(payloads(b"a")), ScriptedClient([Accepted(3, "old")]))
    assert counters.snapshot()[Counter.RECORDS_REJECTED_BY_DESTINATION] == 3


@dataclass(slots=True)
class TracesStuckClient:
    """Defers traces for an hour and takes the rest."""

    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def export(self, signal: Signal, body: bytes) -> Outcome:
        if signal is Signal.TRACES:
            return Deferred("full", retry_after_seconds=3600)
        self.arrived.set()
        return Accepted()

    async def close(self) -> None:
        pass


def test_a_signal_that_is_stuck_holds_no_other_up_and_its_pause_is_not_sat_out() -> None:
    async def run() -> None:
        outbox = MemoryOutbox([Payload(0, Signal.TRACES, b"a"), Payload(9, Signal.LOGS, b"b")])
        client = TracesStuckClient()
        forwarder = Forwarder(outbox, "default", client, INSTANT, Counters(), max_batch_bytes=10)
        running = asyncio.create_task(forwarder.run())
        await asyncio.wait_for(client.arrived.wait(), TIMEOUT_SECONDS)
        forwarder.stop()
        await asyncio.wait_for(running, TIMEOUT_SECONDS)
        assert [payload.id for payload in outbox.waiting] == [0]

    asyncio.run(run())


def test_flush_tries_each_batch_once_and_leaves_what_is_deferred() -> None:
    async def run() -> None:
        outbox = MemoryOutbox(payloads(b"a", b"b"))
        client = ScriptedClient([Accepted(), Deferred("away")])
        await Forwarder(outbox, "default", client, INSTANT, Counters(), max_batch_bytes=1).flush()
        assert [body for _, body in client.sent] == [b"a", b"b"]
        assert [payload.id for payload in outbox.waiting] == [1]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("attempt", "asked", "least", "most"),
    [
        (0, None, 0.5, 1),
        (3, None, 4, 8),
        (50, None, 30, 60),
        (0, 7, 7, 7),
        (10, 0, 30, 60),
        (0, 3600, 300, 300),
        (0, 1e300, 300, 300),
    ],
)
def test_pauses_grow_to_a_limit_and_follow_the_destinations_wish_up_to_another(
    attempt: int, asked: float | None, least: float, most: float
) -> None:
    backoff = Backoff(1.0, 60.0, 300.0, Random(7))
    for _ in range(100):
        assert least <= backoff.next_delay_seconds(attempt, asked) <= most


@pytest.mark.parametrize(
    ("answers", "told", "failed"),
    [
        ([], [Accepted(), Accepted()], 0),
        ([Deferred("away")], [Deferred("away")], 1),
        ([Refused("no")], [Refused("no")], 1),
        ([Accepted(), Deferred("away")], [Accepted(), Deferred("away")], 1),
    ],
)
def test_every_export_tells_its_outcome(answers: list[Outcome], told: list[Outcome], failed: int) -> None:
    ended: list[Outcome] = []
    counters = Counters()

    async def begin() -> list[Part]:
        return [Part(b"metrics")]

    async def end(sent: Sent) -> None:
        ended.extend(outcome for _, outcome in sent)

    async def run() -> None:
        exporter = MetricsExporter(begin, end, "default", ScriptedClient(answers), counters, interval_seconds=60)
        await exporter.flush()

    asyncio.run(run())
    assert ended == told
    assert counters.snapshot()[Counter.METRIC_EXPORTS_FAILED] == failed
