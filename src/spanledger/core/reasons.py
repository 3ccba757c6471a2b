"""Why something was refused: a bounded set, each member a value of the label `reason` of a counter."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a request, one record of it or a connection was refused. `otlp/refusals.py` says how each is answered."""

    # The request as a whole.
    UNAUTHENTICATED = "unauthenticated"
    NO_SUCH_PATH = "no_such_path"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UNSUPPORTED_CONTENT_TYPE = "unsupported_content_type"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    BAD_HTTP = "bad_http"
    WRONG_SCHEME = "wrong_scheme"
    HEADERS_TOO_LARGE = "headers_too_large"
    BODY_TOO_LARGE = "body_too_large"
    INFLATED_TOO_LARGE = "inflated_too_large"
    INFLATED_TOO_MUCH = "inflated_too_much"
    BAD_COMPRESSION = "bad_compression"
    UNREADABLE_BODY = "unreadable_body"
    TOO_MANY_RECORDS = "too_many_records"
    TOO_MANY_JSON_VALUES = "too_many_json_values"
    SLOW_REQUEST = "slow_request"
    TOO_BUSY = "too_busy"
    NOT_DURABLE = "not_durable"
    INTERNAL_ERROR = "internal_error"
    # A connection.
    FAILED_HANDSHAKE = "failed_handshake"
    IDLE_CONNECTION = "idle_connection"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    STOPPING = "stopping"
    # One record; the request too when no record is left.
    UNREADABLE_RECORD = "unreadable_record"
    UNREADABLE_JSON = "unreadable_json"
    BAD_ID = "bad_id"
    TOO_MANY_ATTRIBUTES = "too_many_attributes"
    VALUE_TOO_LARGE = "value_too_large"
    NESTED_TOO_DEEP = "nested_too_deep"
    TOO_MANY_FIELDS = "too_many_fields"
    # What one record says of usage; the record itself goes on.
    UNREADABLE_SPAN = "unreadable_span"
    UNREADABLE_LOG_RECORD = "unreadable_log_record"
    BAD_POINT = "bad_point"
    BAD_COUNT = "bad_count"
    BAD_COST = "bad_cost"
    MISSING_TOKENS = "missing_tokens"
