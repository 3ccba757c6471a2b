"""The log of a real service as JSON: every line of it, and a destination that is away told once."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import ssl
from contextlib import ExitStack, suppress
from pathlib import Path

import trustme

from support.processes import COMMAND, service_environment

NOWHERE = "http://127.0.0.1:9"
ENVIRON = {
    "SPANLEDGER_LOG__FORMAT": "json",
    "SPANLEDGER_EXPORTER__ENDPOINT": NOWHERE,
    "SPANLEDGER_METRICS__INTERVAL_SECONDS": "0.05",
    "SPANLEDGER_FORWARD__FLUSH_TIMEOUT_SECONDS": "1",
}


def run_until_told(ledger: Path, lines_wanted: int, **environ: str) -> list[dict[str, object]]:
    """Lines of a service with a destination that is away, up to its stop after so many."""

    async def run() -> list[dict[str, object]]:
        process = await asyncio.create_subprocess_exec(
            *(COMMAND, "serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"),
            *("--ledger", str(ledger)),
            env=service_environment() | ENVIRON | environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        lines = [await asyncio.wait_for(process.stderr.readline(), 30) for _ in range(lines_wanted)]
        process.terminate()
        out, rest = await process.communicate()
        assert (process.returncode, out) == (os.EX_OK, b"")
        return [json.loads(line) for line in [*lines, *rest.splitlines()]]

    return asyncio.run(run())


def test_with_no_interval_no_repeat_is_folded(tmp_path: Path) -> None:
    told = run_until_told(tmp_path / "ledger.db", 5, SPANLEDGER_LOG__REPEAT_INTERVAL_SECONDS="0")
    assert [line["event"] for line in told[:5]] == ["service.ready", *["metrics.not_sent"] * 4]
    assert not any("repeated" in line for line in told)


def test_every_line_is_json_and_repeats_are_folded(tmp_path: Path) -> None:
    ready, away, *rest = run_until_told(tmp_path / "ledger.db", 2)
    assert (ready["event"], ready["level"]) == ("service.ready", "info")
    listening = r"listening: OTLP gRPC on 127\.0\.0\.1:\d+, HTTP on .*; to http://127\.0\.0\.1:9"
    assert re.fullmatch(listening, str(ready["message"]))
    assert away["event"] == "metrics.not_sent"
    assert away["fields"]["destination"] == "default"  # type: ignore[index]
    # The flush at the stop fails alike: one line with a count.
    assert [(line["event"], "repeated" in line) for line in rest] == [("metrics.not_sent", True)]


def test_strangers_that_knock_write_nothing_into_the_log(tmp_path: Path) -> None:
    (ready, *_), others = lines_while_strangers_knock(tmp_path)
    assert json.loads(ready)["event"] == "service.ready"
    assert others == []


def test_who_asks_the_library_for_its_lines_has_them(tmp_path: Path) -> None:
    _, others = lines_while_strangers_knock(tmp_path, GRPC_VERBOSITY="INFO")
    assert any("Handshake failed" in line for line in others)


def lines_while_strangers_knock(folder: Path, **environ: str) -> tuple[list[str], list[str]]:
    """What is written on standard error by a service that wants certificates: lines of JSON, and others."""
    authority = trustme.CA()
    server = authority.issue_cert("localhost")
    files = {name: folder / f"{name}.pem" for name in ("cert_file", "key_file", "client_ca_file")}
    server.cert_chain_pems[0].write_to_path(files["cert_file"])
    server.private_key_pem.write_to_path(files["key_file"])
    authority.cert_pem.write_to_path(files["client_ca_file"])
    environment = {key: value for key, value in service_environment().items() if key != "GRPC_VERBOSITY"}
    settings = {f"SPANLEDGER_RECEIVER__TLS__{name.upper()}": str(file) for name, file in files.items()}

    async def run() -> list[str]:
        process = await asyncio.create_subprocess_exec(
            *(COMMAND, "serve", "--grpc", "localhost:0", "--http", "localhost:0"),
            *("--ledger", str(folder / "ledger.db")),
            env=environment | settings | {"SPANLEDGER_LOG__FORMAT": "json"} | environ,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        lines = []
        while not lines or not lines[-1].startswith(b"{"):
            lines.append(await asyncio.wait_for(process.stderr.readline(), 30))
        addresses = json.loads(lines[-1])["fields"]
        for kind in ("grpc", "http"):
            await asyncio.to_thread(knock, addresses[kind], files["client_ca_file"])
        process.terminate()
        _, rest = await process.communicate()
        return [line.decode().rstrip() for line in [*lines, *rest.splitlines()]]

    lines = asyncio.run(run())
    of_json = [line for line in lines if line.startswith("{")]
    return of_json, [line for line in lines if line not in of_json]


def knock(address: str, ca_file: Path) -> None:
    """In the clear, with rubbish, and over TLS without a certificate; each until the service answers or closes."""
    host, _, port = address.rpartition(":")
    unknown = ssl.create_default_context(cafile=str(ca_file))
    for words in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", None):
        with ExitStack() as stack, suppress(OSError):
            stranger = stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
            if words is None:
                stranger = stack.enter_context(unknown.wrap_socket(stranger, server_hostname=host))
            stranger.sendall(words or b"GET / HTTP/1.1\r\n\r\n")
            stranger.recv(1_000)
