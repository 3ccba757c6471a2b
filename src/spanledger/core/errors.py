"""Failures that cross a border, and what a sender may do about them.

SpanledgerError
├── ConfigError       start-up or command line: exit code 2, every problem listed
├── PermanentError    the same request will always fail: 400 / INVALID_ARGUMENT and the like, never retried
└── RetryableError    not now: 503 / UNAVAILABLE with a delay

The last two carry a `Reason`; `otlp/refusals.py` says how each is answered.
"""

from __future__ import annotations

from collections.abc import Sequence

from spanledger.core.reasons import Reason


class SpanledgerError(Exception):
    """Base of every failure that this package raises on purpose."""


class ConfigError(SpanledgerError):
    """Configuration or command-line input that cannot be used; lists every problem found."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class PermanentError(SpanledgerError):
    """A request that can never succeed; its message says what is wrong and where."""

    def __init__(self, message: str, reason: Reason = Reason.UNREADABLE_BODY) -> None:
        self.reason = reason
        super().__init__(message)


class RetryableError(SpanledgerError):
    """A request that may succeed later."""

    def __init__(self, message: str, reason: Reason = Reason.NOT_DURABLE, *, retry_after_seconds: float = 1.0) -> None:
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)
