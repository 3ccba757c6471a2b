"""Headers of a destination: from settings and a file that may change, and never shown."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from spanledger.config.settings import load_settings
from spanledger.core.errors import ConfigError
from spanledger.core.events import Event
from spanledger.exporter.headers import Headers
from support.logged import messages_of

SECRET = "Bearer s3cr3t"


def write(file: Path, text: str, at: int) -> None:
    file.write_text(text)
    os.utime(file, ns=(at, at))


def test_the_file_wins_and_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    write(file, f"# credentials\n\nAuthorization: {SECRET}\n", 1)
    headers = Headers({"Authorization": "old", "X-Scope": "a"}, file)
    assert headers.current() == {"authorization": SECRET, "x-scope": "a"}
    write(file, "authorization: Bearer new:er\n", 2)
    assert headers.current()["authorization"] == "Bearer new:er"


def test_a_file_that_breaks_keeps_what_it_said_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "headers"
    write(file, f"authorization: {SECRET}\n", 1)
    headers = Headers({}, file)
    write(file, f"authorization {SECRET}\n", 2)
    with caplog.at_level(logging.WARNING):
        assert [headers.current() for _ in range(3)] == [{"authorization": SECRET}] * 3
        file.unlink()
        assert headers.current() == {"authorization": SECRET}
    broken, gone = messages_of(caplog, Event.DESTINATION_HEADERS_REFUSED)
    assert f"{file}:1: a header is `name: value`" in broken
    assert "cannot be read" in gone
    assert "s3cr3t" not in caplog.text


def test_a_file_that_is_not_there_or_not_headers_is_a_mistake_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="file of headers cannot be read"):
        Headers({}, tmp_path / "none")
    file = tmp_path / "headers"
    file.write_text(f"ok: 1\n{SECRET}\n: x\n")
    with pytest.raises(ConfigError) as caught:
        Headers({}, file)
    assert [problem.removeprefix(str(file)) for problem in caught.value.problems] == [
        ":2: a header is `name: value`",
        ":3: a header is `name: value`",
    ]


@pytest.mark.parametrize("name", ["x y", "x_\u00fc", ":path", "x-trace-bin", "Content-Length", "grpc-timeout", "x\ty"])
def test_a_name_that_cannot_be_sent_is_a_mistake_in_settings_and_file(name: str, tmp_path: Path) -> None:
    """A library would raise for it at every export, or send what breaks the request."""
    file = tmp_path / "headers"
    file.write_text(f"ok: 1\n{name}: {SECRET}\n")
    with pytest.raises(ConfigError) as caught:
        Headers({}, file)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{file}:2: ")
    with pytest.raises(ConfigError, match="header") as refused:
        load_settings(None, {}, {"exporter.endpoint": "http://localhost:4317", "exporter.headers": {name: SECRET}})
    assert "s3cr3t" not in problem + str(refused.value)


def test_a_tab_in_a_value_cannot_be_sent_over_grpc(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("x-note: a\tb\n")
    with pytest.raises(ConfigError, match=":1: a header's value has printable ASCII characters alone"):
        Headers({}, file)
