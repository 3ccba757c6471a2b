"""Forwarding: the outbox drains to the destination, at least once, the same bytes on every attempt."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from spanledger.core.delivery import Payload
from spanledger.core.events import Event
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Deferred, OtlpClient, Refused
from spanledger.exporter.retry import Backoff
from spanledger.logs import tell
from spanledger.telemetry import Counter, Counters


class Outbox(Protocol):
    """The part of the outbox that forwarding needs."""

    async def departures(self, signal: Signal, max_bytes: int) -> Sequence[Payload]:
        """Payloads to send next, the oldest first; at least one if there is one, however large."""
        ...

    async def remove(self, payloads: Sequence[Payload]) -> bool:
        """Forget delivered payloads. False when the disk does not take that, which the outbox tells."""
        ...

    async def set_aside(self, payloads: Sequence[Payload], why: str) -> bool:
        """Keep payloads that will never be taken, and send them no more. False as with `remove`."""
        ...


@dataclass(frozen=True, slots=True)
class _Answered:
    """Payloads that are not to be sent again: the destination has them, or refused them and said why."""

    payloads: Sequence[Payload]
    refused: str | None


class Forwarder:
    """Drains one destination's outbox, one stream per signal, so that a slow signal holds no other up."""

    def __init__(
        self,
        outbox: Outbox,
        destination: str,
        client: OtlpClient,
        backoff: Backoff,
        counters: Counters,
        *,
        signals: Collection[Signal] = frozenset(Signal),
        max_batch_bytes: int,
    ) -> None:
        self._outbox = outbox
        self._destination = destination
        self._client = client
        self._backoff = backoff
        self._counters = counters
        self._max_batch_bytes = max_batch_bytes
        self._wake = {signal: asyncio.Event() for signal in Signal if signal in signals}
        self._stopping = asyncio.Event()
        self._answered: deque[_Answered] = deque()
        """What still stands in the outbox: one batch of each signal at most, for nothing is sent before it is out."""
        self._booking = asyncio.Lock()

    def notify(self) -> None:
        """Say that the outbox may hold something new; on the event loop."""
        for event in self._wake.values():
            event.set()

    async def run(self) -> None:
        """Forward until `stop`; what is left stays in the outbox for the next start."""
        async with asyncio.TaskGroup() as tasks:
            for signal in self._wake:
                tasks.create_task(self._drain(signal))

    def stop(self) -> None:
        """End `run`: no attempt starts after the one under way, no pause is sat out."""
        self._stopping.set()
        self.notify()

    async def flush(self) -> None:
        """Send what is in the outbox now, each batch once; what the destination defers stays."""
        for signal in self._wake:
            while await self._book() and (batch := await self._outbox.departures(signal, self._max_batch_bytes)):
                if await self._attempt(batch) is not None:
                    break

    async def _drain(self, signal: Signal) -> None:
        wake = self._wake[signal]
        attempt = unbooked = 0
        while not self._stopping.is_set():
            wake.clear()
            if not await self._book():
                await self._pause(self._backoff.next_delay_seconds(unbooked, None))
                unbooked += 1
                continue
            unbooked = 0
            batch = await self._outbox.departures(signal, self._max_batch_bytes)
            if not batch:
                attempt = 0
                await wake.wait()
                continue
            deferred = await self._attempt(batch)
            if deferred is None:
                attempt = 0
                continue
            self._counters.add(Counter.EXPORTS_RETRIED, destination=self._destination)
            pause_seconds = self._backoff.next_delay_seconds(attempt, deferred.retry_after_seconds)
            tell(
                Event.DESTINATION_AWAY,
                destination=self._destination,
                signal=signal,
                pause=f"{pause_seconds:.1f}",
                why=deferred.reason,
            )
            await self._pause(pause_seconds)
            attempt += 1

    async def _attempt(self, batch: Sequence[Payload]) -> Deferred | None:
        """Send a batch as one request. A refused batch is sent again payload by payload, to find the bad one."""
        # Effect 5: the destination has the bytes. A kill before effect 6 sends the same bytes again: at least once.
        outcome = await self._client.export(batch[0].signal, b"".join(payload.body for payload in batch))
        match outcome:
            case Accepted(rejected=rejected, message=message):
                if rejected or message:
                    self._tell_of_part(batch[0].signal, rejected, message)
                self._counters.add(Counter.RECORDS_REJECTED_BY_DESTINATION, rejected, destination=self._destination)
                self._answered.append(_Answered(batch, None))
                await self._book()
            case Refused(reason=reason):
                return await self._single_out(batch, reason)
            case Deferred():
                return outcome
        return None

    async def _single_out(self, batch: Sequence[Payload], reason: str) -> Deferred | None:
        if len(batch) == 1:
            self._answered.append(_Answered(batch, reason))
            await self._book()
            return None
        for payload in batch:
            deferred = await self._attempt([payload])
            if deferred is not None or self._answered:
                return deferred
        return None

    async def _book(self) -> bool:
        """Take out of the outbox what was answered, and count it. False when the disk does not take that.

        Until it does nothing is sent: it would be sent again and again, and a backend that adds up would show it so.
        """
        async with self._booking:
            while self._answered:
                if not await self._take_out(self._answered[0]):
                    return False
                self._answered.popleft()
        return True

    async def _take_out(self, answered: _Answered) -> bool:
        payloads, refused = answered.payloads, answered.refused
        # Effect 6: COMMIT. After it they are never sent again.
        if refused is None:
            counter, done = Counter.PAYLOADS_FORWARDED, await self._outbox.remove(payloads)
        else:
            counter, done = Counter.PAYLOADS_SET_ASIDE, await self._outbox.set_aside(payloads, refused)
        if done:
            self._counters.add(counter, len(payloads), destination=self._destination)
        return done

    def _tell_of_part(self, signal: Signal, rejected: int, why: str) -> None:
        tell(Event.DESTINATION_REFUSED_PART, destination=self._destination, signal=signal, rejected=rejected, why=why)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), timeout=seconds)
        except TimeoutError:
            return
