"""Tenants, from a bearer token to ledger, metrics and destination."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from spanledger.config.sections import Settings
from spanledger.core.delivery import Delivery, Encoding
from spanledger.core.money import parse_usd
from spanledger.core.semconv import Metric
from spanledger.core.tenant import Tenant
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Destination, Outcome
from spanledger.exporter.grpc_client import GrpcClient
from spanledger.exporter.http_client import HttpClient
from spanledger.ledger.ledger import Ledger
from spanledger.otlp.claims import claim
from spanledger.otlp.decode import decode
from spanledger.service.assembly import policy_of
from spanledger.service.runtime import Addresses
from spanledger.service.session_report import report_session
from support.replaying import list_prices, read_folder
from support.serving import running, standing
from support.splitting import protobuf_body
from support.truth import CAPTURES, served

FOLDER = CAPTURES / "s03_subagent"
DELIVERIES = [body.delivery for body in read_folder(FOLDER)]
COST_PICOUSD = parse_usd(str(served(FOLDER).cost_usd))
RED, BLUE, LATER = "red-token-0123456789", "blue-token-0123456789", "later-token-0123456789"
TOKENS = f"""
tenants:
  red:
    tokens: [{RED}]
    attributes: {{team.id: crimson, cost_center: "1", user.email: red@example.test}}
  blue:
    tokens: [{BLUE}]
"""


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens.yaml"
    file.write_text(TOKENS)
    return file


async def send_as(token: str, addresses: Addresses, deliveries: Iterable[Delivery], *, http: bool = False) -> Outcome:
    """Send deliveries with a token; the first outcome that is no success, else the last."""
    headers = {"authorization": f"Bearer {token}"}
    client = (
        HttpClient(Destination(f"http://{addresses.http}", headers))
        if http
        else GrpcClient(Destination(f"http://{addresses.grpc}", headers))
    )
    outcome: Outcome = Accepted()
    try:
        for delivery in deliveries:
            outcome = await client.export(delivery.signal, protobuf_body(delivery))
            if outcome != Accepted():
                break
    finally:
        await client.close()
    return outcome


def test_two_tenants_that_send_the_same_are_charged_apart(tokens_file: Path, tmp_path: Path) -> None:
    """Same session, same request ids, same spans: a tenant cannot touch what is another's."""

    async def run() -> object:
        async with running(tmp_path / "ledger.db", receiver__auth__tokens_file=str(tokens_file)) as up:
            assert await send_as(RED, up.addresses, DELIVERIES) == Accepted()
            assert await send_as(BLUE, up.addresses, DELIVERIES, http=True) == Accepted()
            await up.service.rest()
        return up.sink

    sink = asyncio.run(run())
    figures = standing(tmp_path / "ledger.db").figures
    assert figures.report.cost_picousd == 2 * COST_PICOUSD
    assert sink.metric_totals()[Metric.COST] == 2 * COST_PICOUSD
    by_team = {team: part.cost_picousd for team, part in figures.report.groups["by_team"].items()}
    assert by_team["crimson"] == COST_PICOUSD
    assert sum(by_team.values()) == 2 * COST_PICOUSD
    spans = [span for body in sink.bodies[Signal.TRACES] for span in decode(Signal.TRACES, body).spans]
    told = {(span.resource["spanledger.tenant"], span.resource.get("user.email")) for span in spans}
    assert told == {("red", "red@example.test"), ("blue", None)}


def test_a_tenants_calls_are_explained_and_summed_up(tokens_file: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path / "ledger.db", receiver__auth__tokens_file=str(tokens_file)) as up:
            await send_as(RED, up.addresses, DELIVERIES)
            await send_as(BLUE, up.addresses, DELIVERIES[: len(DELIVERIES) // 2])
            await up.service.rest()

    asyncio.run(run())
    ledger = Ledger.read(tmp_path / "ledger.db")
    policy = policy_of(Settings(), list_prices())
    try:
        sighting = next(s for s in _sightings(ledger) if s.record.source.tenant == "red")
        assert sighting.record.identity == f"red/{sighting.record.request_id}"
        assert sighting.record.source.user == "red@example.test"
        assert {s.record.source.tenant for s in ledger.evidence.named(sighting.record.identity)} == {"red"}
        assert "red" in {s.record.source.tenant for s in ledger.evidence.named(sighting.record.request_id)}
        session = report_session(ledger, list_prices(), policy, sighting.record.source.session_id)
    finally:
        ledger.close()
    assert session is not None
    assert session.whole.cost_picousd > COST_PICOUSD


def test_tokens_are_read_again_while_the_service_runs(tokens_file: Path, tmp_path: Path) -> None:
    async def run() -> list[bool]:
        async with running(tmp_path / "ledger.db", receiver__auth__tokens_file=str(tokens_file)) as up:
            taken = [await _is_taken(LATER, up.addresses)]
            await asyncio.to_thread(tokens_file.write_text, TOKENS.replace(RED, LATER))
            taken += [await _is_taken(LATER, up.addresses), await _is_taken(RED, up.addresses)]
            await asyncio.to_thread(tokens_file.write_text, "tenants: [half written")
            taken += [await _is_taken(LATER, up.addresses)]
        return taken

    assert asyncio.run(run()) == [False, True, False, True]


async def _is_taken(token: str, addresses: Addresses) -> bool:
    return await send_as(token, addresses, DELIVERIES[:1]) == Accepted()


def _sightings(ledger: Ledger) -> list:
    senders = ledger.residuals.of_session(_session_id())[0]
    return [s for several in ledger.evidence.of_senders(senders, 0, 2**63 - 1).values() for s in several]


def _session_id() -> str:
    logs = next(
        log for one in DELIVERIES if one.signal is Signal.LOGS for log in decode(Signal.LOGS, protobuf_body(one)).logs
    )
    return str(logs.attributes["session.id"])


def test_without_tokens_nobody_is_a_tenant(tmp_path: Path) -> None:
    forged = [
        replace(one, body=claim(one.signal, protobuf_body(one), Tenant("red")), encoding=Encoding.PROTOBUF)
        for one in DELIVERIES
    ]

    async def run() -> None:
        async with running(tmp_path / "ledger.db") as up:
            assert await send_as("any-token-0123456789", up.addresses, forged) == Accepted()
            await up.service.rest()

    asyncio.run(run())
    ledger = Ledger.read(tmp_path / "ledger.db")
    try:
        assert {s.record.source.tenant for s in _sightings(ledger)} == {""}
    finally:
        ledger.close()
    assert standing(tmp_path / "ledger.db").figures.report.cost_picousd == COST_PICOUSD


def test_a_tenants_identity_is_redacted_as_the_rules_say(tokens_file: Path, tmp_path: Path) -> None:
    """What is known of a tenant is written first, and then the rules of privacy hold for it too."""
    rules = [{"keys": ["user.email"], "action": "drop"}]
    more = {"receiver__auth__tokens_file": str(tokens_file), "privacy__rules": rules}

    async def run() -> object:
        async with running(tmp_path / "ledger.db", **more) as up:
            assert await send_as(RED, up.addresses, DELIVERIES) == Accepted()
            await up.service.rest()
        return up.sink

    sink = asyncio.run(run())
    assert not any(b"red@example.test" in body for signal in Signal for body in sink.bodies[signal])
    assert standing(tmp_path / "ledger.db").figures.report.cost_picousd == COST_PICOUSD
