"""How each refusal is answered: HTTP status, gRPC code, the setting behind it and what it means.

By the OTLP specification, "Failures": 413 and RESOURCE_EXHAUSTED for size, 400 and INVALID_ARGUMENT for shape, neither
retried; 503 and UNAVAILABLE with a delay when the same request may succeed later.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus

from spanledger.core.reasons import Reason


class RpcCode(IntEnum):
    """The codes of google.rpc.Code that a receiver answers with."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a refused request is answered. `setting` is the key that moves the limit, empty where there is none."""

    http_status: HTTPStatus
    rpc_code: RpcCode
    meaning: str
    setting: str = ""


def _shape(meaning: str, setting: str = "") -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, RpcCode.INVALID_ARGUMENT, meaning, setting)


def _size(meaning: str, setting: str) -> Refusal:
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, RpcCode.RESOURCE_EXHAUSTED, meaning, setting)


def _later(meaning: str, setting: str = "") -> Refusal:
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, RpcCode.UNAVAILABLE, meaning, setting)


REQUEST_REFUSALS: dict[Reason, Refusal] = {
    Reason.UNAUTHENTICATED: Refusal(
        HTTPStatus.UNAUTHORIZED,
        RpcCode.UNAUTHENTICATED,
        "no bearer token, or one that is not in the file",
        "receiver.auth.tokens_file",
    ),
    Reason.NO_SUCH_PATH: Refusal(HTTPStatus.NOT_FOUND, RpcCode.NOT_FOUND, "a path that OTLP does not have"),
    Reason.METHOD_NOT_ALLOWED: Refusal(
        HTTPStatus.METHOD_NOT_ALLOWED, RpcCode.UNIMPLEMENTED, "an HTTP method other than POST"
    ),
    Reason.UNSUPPORTED_CONTENT_TYPE: Refusal(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, RpcCode.INVALID_ARGUMENT, "neither OTLP's protobuf nor its JSON"
    ),
    Reason.UNSUPPORTED_ENCODING: Refusal(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, RpcCode.INVALID_ARGUMENT, "a compression other than gzip and deflate"
    ),
    Reason.BAD_HTTP: _shape("not HTTP/1.1"),
    Reason.WRONG_SCHEME: _shape("http:// to a port of https://, or the reverse; answered over HTTP alone"),
    Reason.HEADERS_TOO_LARGE: Refusal(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        RpcCode.RESOURCE_EXHAUSTED,
        "request line and headers, or gRPC metadata, are too large",
        "receiver.max_header_bytes",
    ),
    Reason.BODY_TOO_LARGE: _size("the body as it was sent is too large", "receiver.max_request_bytes"),
    Reason.INFLATED_TOO_LARGE: _size("the body is too large when decompressed", "receiver.max_inflated_bytes"),
    Reason.INFLATED_TOO_MUCH: _size(
        "the body grows too much when decompressed: a decompression bomb", "receiver.max_inflation_ratio"
    ),
    Reason.BAD_COMPRESSION: _shape("a compressed body that is cut off or broken"),
    Reason.UNREADABLE_BODY: _shape("not an export request of the signal, in protobuf or JSON"),
    Reason.TOO_MANY_RECORDS: _size("too many spans, log records or data points", "receiver.max_records"),
    Reason.TOO_MANY_JSON_VALUES: _size("too many objects, arrays and elements in JSON", "receiver.max_json_values"),
    Reason.SLOW_REQUEST: Refusal(
        HTTPStatus.REQUEST_TIMEOUT,
        RpcCode.DEADLINE_EXCEEDED,
        "the request took too long to arrive; over HTTP the connection is closed without an answer",
        "receiver.request_timeout_seconds",
    ),
    Reason.TOO_BUSY: _later(
        "too many requests, or too many bytes, in work", "receiver.max_concurrent_requests, receiver.max_buffered_bytes"
    ),
    Reason.NOT_DURABLE: _later("the ledger cannot be written now; nothing was taken"),
    Reason.INTERNAL_ERROR: _later("a fault of the service; its log has the details"),
}
"""Reasons to refuse a whole request."""

RECORD_REFUSALS: dict[Reason, Refusal] = {
    Reason.UNREADABLE_RECORD: _shape("not a span, log record or data point in protobuf"),
    Reason.UNREADABLE_JSON: _shape("JSON that cannot be what its field is"),
    Reason.BAD_ID: _shape("a trace id that has not 16 bytes, or a span id that has not 8"),
    Reason.TOO_MANY_ATTRIBUTES: _size("too many attributes, events or links", "receiver.max_attributes"),
    Reason.VALUE_TOO_LARGE: _size("an attribute or a log body is too large", "receiver.max_value_bytes"),
    Reason.NESTED_TOO_DEEP: _shape("arrays and maps inside one another too deep", "receiver.max_nesting_depth"),
    Reason.TOO_MANY_FIELDS: _size("too many fields, those of all values in it included", "receiver.max_fields"),
}
"""Reasons to refuse one record; when none is left, or the fault is in a resource or scope, the request."""

CONNECTION_ENDS: dict[Reason, Refusal] = {
    Reason.FAILED_HANDSHAKE: _later("no TLS, an old version, or a certificate that one side does not take (HTTP)"),
    Reason.IDLE_CONNECTION: _later("no request for too long", "receiver.idle_timeout_seconds"),
    Reason.TOO_MANY_CONNECTIONS: _later("too many connections at once", "receiver.max_connections"),
    Reason.STOPPING: _later("the service stopped, and a request had not arrived or was not answered in time"),
}
"""Reasons to close a connection without an answer."""

ANSWERED: frozenset[Reason] = frozenset({*REQUEST_REFUSALS, *RECORD_REFUSALS, *CONNECTION_ENDS})
"""Reasons that a receiver answers, or closes for; the others are about what a record says of usage."""

_ALL = REQUEST_REFUSALS | RECORD_REFUSALS


def refusal_of(reason: Reason) -> Refusal:
    """How a request that is refused for a reason is answered."""
    return _ALL[reason]
