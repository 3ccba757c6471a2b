"""The example of docs/operate/security.md, copied and run: it starts, asks for the token, and knows the tenant."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

import pytest
import trustme
import yaml

from spanledger.config.otel_environment import exporter_variables
from spanledger.config.settings import load_settings
from spanledger.config.tokens import load_tokens
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Deferred, Destination, Outcome, Tls
from spanledger.exporter.http_client import HttpClient
from spanledger.service.receivers import Receivers
from spanledger.telemetry import Counters
from support.consumers import ScriptedConsumer

PAGE = Path(__file__).parents[2] / "docs" / "operate" / "security.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of the page, and the certificates that it speaks of; ports are free ones."""
    for name, text in re.findall(r"```yaml\n# /etc/spanledger/(\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        here = text.replace("/etc/spanledger", str(tmp_path)).replace("0.0.0.0:4317", "localhost:0")
        (tmp_path / name).write_text(here.replace("0.0.0.0:4318", "localhost:0"))
    authority = trustme.CA()
    server = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    server.private_key_pem.write_to_path(tmp_path / "server.key")
    return tmp_path


def headers_of_the_page() -> dict[str, str]:
    """What the page tells a client to set, read as an exporter reads it."""
    exports = [line for line in PAGE.read_text().splitlines() if line.startswith("export ")]
    pairs = [word.partition("=") for line in exports for word in shlex.split(line)[1:]]
    problems: list[str] = []
    given = exporter_variables({name: value for name, _, value in pairs}, problems)
    assert problems == []
    return dict(given["exporter.headers"][0])


def test_the_example_works_as_it_stands(folder: Path) -> None:
    settings = load_settings(folder / "spanledger.yaml", {}, {})
    consumer = ScriptedConsumer()

    async def run() -> list[Outcome]:
        receivers = Receivers(settings.receiver, consumer, Counters())
        _, http_address = await receivers.start()
        outcomes = []
        for headers in (headers_of_the_page(), {}):
            destination = Destination(f"https://{http_address}", headers, tls=Tls(folder / "ca.pem"))
            client = HttpClient(destination)
            outcomes.append(await client.export(Signal.TRACES, b""))
            await client.close()
        await receivers.stop()
        return outcomes

    with_token, without = asyncio.run(run())
    assert with_token == Accepted()
    assert isinstance(without, Deferred)
    (delivery,) = consumer.deliveries
    assert delivery.tenant is not None
    assert delivery.tenant.name == "platform"
    assert dict(delivery.tenant.attributes) == {"team.id": "platform", "cost_center": "CC-42"}


def test_the_file_of_tokens_has_every_kind_of_entry(folder: Path) -> None:
    written = yaml.safe_load((folder / "tokens.yaml").read_text())["tenants"]
    found = load_tokens(folder / "tokens.yaml")
    assert len(found) == sum(len(entry["tokens"]) for entry in written.values())
    assert {tenant.name for tenant in found.values()} == set(written)
