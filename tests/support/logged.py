"""What the service has logged."""

from __future__ import annotations

import pytest

from spanledger.core.events import Event


def messages_of(caplog: pytest.LogCaptureFixture, event: Event) -> list[str]:
    """Messages of an event, in order."""
    return [record.getMessage() for record in caplog.records if getattr(record, "event", None) is event]
