"""What is said of senders: what is seen, what is missing, and what to do."""

from __future__ import annotations

import pytest

from spanledger.config.clients import load_client_prices
from spanledger.core.usage import Signal, Source
from spanledger.ledger.heard import Heard
from spanledger.service.findings import Finding, Level
from spanledger.service.onboarding import client_environment, findings

LABELS = {"cost_center": "cost_center"}
GOOD = Source(session_id="s", user_email="a@b.c", client_version="2.1.330", labels=(("cost_center", "42"),))


def heard(source: Source = GOOD, signals: tuple[Signal, ...] = tuple(Signal), bare: int = 0) -> list[Heard]:
    return [Heard(source, signal, 3, bare) for signal in signals]


def told(several: list[Heard]) -> dict[str, Finding]:
    return {one.subject: one for one in findings(several, LABELS, load_client_prices().counting)}


def test_a_good_sender_gives_no_advice():
    assert {(one.level, one.advice) for one in told(heard()).values()} == {(Level.OK, "")}


def test_nothing_heard_is_every_signal_missing():
    found = told([])
    assert {about: one.level for about, one in found.items()} == dict.fromkeys(
        ("traces", "logs", "metrics"), Level.PROBLEM
    )


@pytest.mark.parametrize("missing", list(Signal))
def test_a_signal_that_is_off_is_missing_with_its_variable(missing):
    found = told(heard(signals=tuple(signal for signal in Signal if signal is not missing)))
    assert found[missing.value].level is Level.PROBLEM
    assert f"OTEL_{missing.upper()}_EXPORTER=otlp" in found[missing.value].advice


@pytest.mark.parametrize(
    ("source", "about"),
    [
        (Source(user_email="a@b.c", labels=(("cost_center", "42"),)), "session ids"),
        (Source(session_id="s", user_id="f00", labels=(("cost_center", "42"),)), "users"),
        (Source(session_id="s", user_email="a@b.c", labels=(("cost_center", ""),)), "cost_center"),
        (Source(session_id="s", user_email="a@b.c", client_version="2.1.197"), "client version"),
    ],
)
def test_what_a_sender_lacks_is_noted(source, about):
    assert told(heard(source))[about].level is Level.NOTE
    assert told(heard(source))[about].advice


def test_records_without_a_request_id_are_counted():
    found = told(heard(signals=(Signal.LOGS,), bare=2))
    assert found["request ids"].what == "missing on 2 of 3"


def test_some_with_and_some_without_a_cost_center():
    found = told([*heard(), *heard(Source(session_id="t", labels=(("cost_center", ""),)))])
    assert found["cost_center"].what == "42; 1 of 2 sender(s) without"


def test_attributes_are_encoded_as_the_client_reads_them():
    environment = client_environment("http://x:4318", "http/protobuf", {"cost_center": "R&D, 42"}, with_token=True)
    assert environment["OTEL_RESOURCE_ATTRIBUTES"] == "cost_center=R%26D%2C%2042"
    assert environment["OTEL_EXPORTER_OTLP_HEADERS"] == "Authorization=Bearer TOKEN"
