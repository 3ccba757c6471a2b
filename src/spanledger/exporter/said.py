"""Why a destination took nothing, in words that can be logged: what it said, or what went wrong on the way there."""

from __future__ import annotations

import html
import json
import re
import socket
import ssl
from collections.abc import Mapping
from http.client import BadStatusLine

import requests
import urllib3.exceptions

from spanledger.core.wording import shown
from spanledger.exporter.http_answers import AnswerTooLongError
from spanledger.otlp.status import status_message

MAX_SAID_CHARACTERS = 300

_HIDDEN = "[hidden]"
_SECRET_CHARACTERS_MIN = 6
"""A shorter word of a header is part of too many others."""

_TAG = re.compile(r"<[^<>]*>")
_JSON_MESSAGES = ("message", "error", "errorMessage", "detail", "title")

_NO_TLS = "it does not speak TLS there: use http://, or the port that does"
_CLOSED = "it closed the connection without an answer; does it want https:// there?"
_NO_GRPC = "it does not speak gRPC there: use its gRPC port, or protocol http/protobuf"
_NOT_TRUSTED = "its certificate is not trusted: {why}; see tls.ca_file"
_OVER_GRPC = (
    (re.compile(r"WRONG_VERSION_NUMBER"), _NO_TLS),
    (re.compile(r"CERTIFICATE_VERIFY_FAILED: (?P<why>.*?)(?:: OK)?$"), _NOT_TRUSTED),
    (re.compile(r"Failed to connect to remote host: (?P<why>.*)$"), "cannot be connected to: {why}"),
    (re.compile(r"^failed to connect .*(?:Socket closed|Connection reset by peer|end of TCP stream)"), _CLOSED),
    (re.compile(r"missing selected ALPN|Failed parsing HTTP/2|http1\.x server"), _NO_GRPC),
)
_NO_TLS_REASONS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
_ALERT_OF_TLS = "\x15\x03"


def said(text: str, headers: Mapping[str, str]) -> str:
    """What a destination said, in one line and bounded, without values of our headers: some repeat the request."""
    line = " ".join(text.split())
    for secret in sorted(_secrets(headers), key=len, reverse=True):
        line = line.replace(secret, _HIDDEN)
    return shown(line, MAX_SAID_CHARACTERS)


def said_in_answer(content: bytes, content_type: str, headers: Mapping[str, str]) -> str:
    """What the body of an answer says: a google.rpc.Status, JSON, a page or plain text; empty when nothing is told."""
    return said(status_message(content) or _text(content, content_type.lower()), headers)


def said_over_grpc(details: str, headers: Mapping[str, str]) -> str:
    """Details of a gRPC status; in our own words where they speak of the library's inner life."""
    for pattern, words in _OVER_GRPC:
        if found := pattern.search(details):
            return said(words.format_map(found.groupdict()), headers)
    return said(details, headers)


def went_wrong(error: Exception, timeout_seconds: float) -> str:
    """Why no whole answer came over HTTP."""
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return _late(timeout_seconds)
    match _innermost(error):
        case TimeoutError():
            return _late(timeout_seconds)
        case AnswerTooLongError() as long:
            return str(long)
        case ssl.SSLError() as failed:
            return _tls(failed)
        case socket.gaierror() as unknown:
            return f"its name cannot be looked up: {unknown.strerror}"
        case BadStatusLine() as strange if _ALERT_OF_TLS in str(strange):
            return "it speaks TLS there: use https://"
        case ConnectionResetError():
            return _CLOSED
        case OSError() as failed if failed.strerror:
            return f"cannot be connected to: {failed.strerror}"
        case other:
            return said(str(other), {})


def unforeseen(error: Exception) -> str:
    """What a library raised that it should not; without its text, which may repeat headers."""
    return f"the request failed by {type(error).__name__}; report it if it stays"


def _late(timeout_seconds: float) -> str:
    return f"timed out: no whole answer within {timeout_seconds:g} s"


def _tls(error: ssl.SSLError) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return _NOT_TRUSTED.format(why=error.verify_message)
        case _ if error.reason in _NO_TLS_REASONS:
            return _NO_TLS
        case _:
            why = (error.reason or "it closed the connection").lower().replace("_", " ")
            return f"the TLS handshake failed: {why}; does it want a client certificate (tls.cert_file)?"


def _innermost(error: BaseException) -> BaseException:
    """The error that libraries have wrapped in their own."""
    for inner in (getattr(error, "reason", None), *error.args, error.__cause__):
        if isinstance(inner, BaseException):
            return _innermost(inner)
    return error


def _text(content: bytes, content_type: str) -> str:
    if "json" in content_type:
        return _json_text(content)
    if not content_type.startswith("text/"):
        return ""
    text = content.decode(errors="replace")
    return html.unescape(_TAG.sub(" ", text)) if "html" in content_type else text


def _json_text(content: bytes) -> str:
    text = content.decode(errors="replace")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return text
    messages = [told.get(name) for name in _JSON_MESSAGES] if isinstance(told, dict) else []
    return next((message for message in messages if isinstance(message, str) and message), text)


def _secrets(headers: Mapping[str, str]) -> set[str]:
    """Values of headers, and the words in them: `Bearer TOKEN` may come back without its first."""
    words = {word for value in headers.values() for word in (value, *value.split())}
    return {word for word in words if len(word) >= _SECRET_CHARACTERS_MIN}
