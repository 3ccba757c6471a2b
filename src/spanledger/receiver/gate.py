"""The gate: who may send, and whether there is room. Both receivers ask it, and count with it what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from spanledger.config.receivers import Receiver
from spanledger.core.delivery import Undecided
from spanledger.core.errors import RetryableError
from spanledger.core.reasons import Reason
from spanledger.core.tenant import Tenant
from spanledger.receiver.auth import Tokens
from spanledger.telemetry import Counter, Counters

BUSY_RETRY_SECONDS = 1.0
INTERNAL_RETRY_SECONDS = 5.0


class Gate:
    """What both receivers share: senders, limits, what is in work, counters.

    `undecided` says what is still in work although its sender has its answer, or has gone.
    """

    def __init__(
        self,
        limits: Receiver,
        counters: Counters,
        tokens: Tokens | None = None,
        undecided: Callable[[], Undecided] = Undecided,
    ) -> None:
        self.limits = limits
        self._counters = counters
        self._tokens = tokens
        self._undecided = undecided
        self._requests = 0
        self._held_bytes = 0

    def enter(self, authorization: str | None) -> Passage:
        """Let a request in, before anything of its body is read; leave by the passage's `with`.

        Raises:
            PermanentError: the sender is not known.
            RetryableError: too many requests are in work.
        """
        tenant = None if self._tokens is None else self._tokens.tenant_of(authorization)
        if self._requests + self._undecided().deliveries >= self.limits.max_concurrent_requests:
            raise _busy("too many requests at once")
        self._requests += 1
        return Passage(self, tenant)

    def refused(self, reason: Reason) -> None:
        """Count a refused request."""
        self._counters.add(Counter.REFUSED, reason=reason)

    def closed(self, reason: Reason) -> None:
        """Count a connection that was closed without an answer."""
        self._counters.add(Counter.CONNECTIONS_CLOSED, reason=reason)

    def hold(self, size_bytes: int) -> None:
        """Note bytes of bodies in work.

        Raises:
            RetryableError: there is no room for them.
        """
        if self._held_bytes + self._undecided().bytes + size_bytes > self.limits.max_buffered_bytes:
            raise _busy("too many bytes at once")
        self._held_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """Note that a request and its bytes are out of work."""
        self._requests -= 1
        self._held_bytes -= size_bytes


class Passage:
    """One request on its way through the gate."""

    __slots__ = ("_gate", "_size_bytes", "tenant")

    def __init__(self, gate: Gate, tenant: Tenant | None) -> None:
        self._gate = gate
        self._size_bytes = 0
        self.tenant = tenant

    def hold(self, size_bytes: int) -> None:
        """Hold so many more bytes until the request is answered; see `Gate.hold`."""
        self._gate.hold(size_bytes)
        self._size_bytes += size_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.release(self._size_bytes)


def _busy(what: str) -> RetryableError:
    return RetryableError(f"{what}; try again", Reason.TOO_BUSY, retry_after_seconds=BUSY_RETRY_SECONDS)


def internal_error() -> RetryableError:
    """What a sender hears of a fault of ours; the log has the rest."""
    return RetryableError("internal error", Reason.INTERNAL_ERROR, retry_after_seconds=INTERNAL_RETRY_SECONDS)
