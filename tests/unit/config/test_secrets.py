"""Secrets of the settings are never shown: not in messages about them, nor when settings are printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanledger.config.settings import load_settings
from spanledger.core.errors import ConfigError
from spanledger.exporter.headers import Headers
from spanledger.service.destinations import clients_for

SECRET = "s3cr3t-of-the-destination"


@pytest.mark.parametrize(
    "text",
    [
        f"exporter: {{endpoint: 'https://user:{SECRET}@backend:4317'}}",
        f"exporter: {{endpoint: 'ftp://user:{SECRET}@backend'}}",
        f"exporter: {{traces: {{endpoint: 'https://:{SECRET}@backend/v1/traces'}}}}",
        f'exporter: {{headers: {{authorization: "Bearer {SECRET}\\n"}}}}',
        f"exporter: {{headers: {{authorization: [Bearer, {SECRET}]}}}}",
        f"exporter: {{headers: 'Bearer {SECRET}'}}",
        f"exporter: {{headers: [unclosed, {SECRET}",
        f"exporter:\n  headers:\n    authorization: 'Bearer {SECRET}\n",
        f"destinations: {{more: {{endpoint: 'https://{SECRET}@backend'}}}}",
    ],
)
def test_a_mistake_is_told_without_the_secret(tmp_path: Path, text: str) -> None:
    file = tmp_path / "spanledger.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file, {}, {})
    assert SECRET not in str(caught.value)
    assert "spanledger.yaml" in str(caught.value)


@pytest.mark.parametrize("headers", [f"authorization Bearer {SECRET}", f"authorization=Bearer%0A{SECRET}"])
def test_a_mistake_in_the_environment_is_told_without_the_secret(headers: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, {"OTEL_EXPORTER_OTLP_HEADERS": headers}, {})
    assert SECRET not in str(caught.value)
    assert "OTEL_EXPORTER_OTLP_HEADERS" in str(caught.value)


def test_a_mistake_in_a_file_of_headers_is_told_without_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text(f"authorization: Bearer {SECRET}\x07\n")
    with pytest.raises(ConfigError, match=r"headers:1: a header's value") as caught:
        Headers({}, file)
    assert SECRET not in str(caught.value)


def test_printed_settings_show_no_header() -> None:
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization={SECRET}", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}
    settings = load_settings(None, environ, {})
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert settings.exporter.headers == {"authorization": SECRET}


def test_printed_clients_show_no_header() -> None:
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization={SECRET}", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}
    (named,) = clients_for(load_settings(None, {**environ, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, {}))
    assert SECRET not in repr(named)
    assert SECRET not in repr(vars(named.client))
