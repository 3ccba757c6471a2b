"""The receivers' settings: where to listen, how large and how slow a request may be, and who may send."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from spanledger.config.fields import Endpoint, PositiveSeconds, Section
from spanledger.core.limits import DEFAULT_LIMITS, ContentLimits

Positive = Annotated[int, Field(gt=0)]


class Grpc(Section):
    """OTLP over gRPC."""

    endpoint: Endpoint = Field(default="localhost:4317", description="Where to receive OTLP over gRPC.")
    max_concurrent_streams: Positive = Field(
        default=1_000, description="Requests that one gRPC connection may have open at once; more wait at the sender."
    )
    keepalive_seconds: PositiveSeconds = Field(
        default=60.0, description="A gRPC connection that says nothing for so long is asked whether it is still there."
    )
    keepalive_timeout_seconds: PositiveSeconds = Field(
        default=20.0, description="How long to wait for that answer before the connection is closed."
    )


class Http(Section):
    """OTLP over HTTP."""

    endpoint: Endpoint = Field(default="localhost:4318", description="Where to receive OTLP over HTTP.")


class ReceiverTls(Section):
    """TLS of both receivers. The files are read again when they change."""

    cert_file: Path | None = Field(default=None, description="Certificate chain (PEM); with it both receivers use TLS.")
    key_file: Path | None = Field(default=None, description="Key of the certificate (PEM).")
    client_ca_file: Path | None = Field(
        default=None, description="CA certificates (PEM); with them senders must show a certificate of theirs (mTLS)."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together: set both or neither")
        if self.client_ca_file is not None and self.cert_file is None:
            raise ValueError("client_ca_file needs cert_file and key_file too")
        return self


class Auth(Section):
    """Who may send."""

    tokens_file: Path | None = Field(
        default=None,
        description="Tenants with their bearer tokens and attributes (docs/operate/security.md); read again when it "
        "changes. Without it everybody may send.",
    )


class Receiver(Section):
    """Receivers."""

    grpc: Grpc = Grpc()
    http: Http = Http()
    tls: ReceiverTls = ReceiverTls()
    auth: Auth = Auth()
    max_request_bytes: Positive = Field(default=20 * 2**20, description="Largest request body as it is sent.")
    max_inflated_bytes: Positive = Field(default=64 * 2**20, description="Largest request body after decompression.")
    max_inflation_ratio: Positive = Field(
        default=200, description="Bytes that a byte of a compressed body may become; the first MiB is free."
    )
    max_header_bytes: Positive = Field(
        default=32 * 2**10, description="Largest request line with headers, or gRPC metadata, of a request."
    )
    max_records: Positive = Field(
        default=DEFAULT_LIMITS.max_records, description="Spans, log records or data points of one request."
    )
    max_json_values: Positive = Field(
        default=DEFAULT_LIMITS.max_json_values,
        description="Values of one JSON body: each `{`, `[` and `,` outside texts.",
    )
    max_attributes: Positive = Field(
        default=DEFAULT_LIMITS.max_attributes,
        description="Attributes of one record, resource or scope; also its events, and its links.",
    )
    max_value_bytes: Positive = Field(
        default=DEFAULT_LIMITS.max_value_bytes,
        description="Largest attribute or log body of one record: bytes of its text, or of a list or map in protobuf.",
    )
    max_nesting_depth: int = Field(
        default=DEFAULT_LIMITS.max_nesting_depth,
        ge=2,
        le=DEFAULT_LIMITS.max_nesting_depth,
        description="Messages inside one another in one record: an attribute takes 2, an array in it 2 more, a map 3.",
    )
    max_fields: Positive = Field(
        default=DEFAULT_LIMITS.max_fields, description="Fields of one record, those of all values in it included."
    )
    max_concurrent_requests: Positive = Field(
        default=1_000, description="Requests in work at once over both receivers; more are told to come back."
    )
    max_buffered_bytes: Positive = Field(
        default=256 * 2**20,
        description="Bytes of bodies in work at once, also of senders that gave up; more are told to come back.",
    )
    max_connections: Positive = Field(
        default=4_000, description="Connections of each receiver, and of the admin port, at once."
    )
    request_timeout_seconds: PositiveSeconds = Field(
        default=30.0, description="How long a request may take to arrive, from its first byte to its last."
    )
    idle_timeout_seconds: PositiveSeconds = Field(
        default=45.0, description="How long a connection without a request stays open."
    )

    @model_validator(mode="after")
    def _room(self) -> Self:
        """A request that is as large as allowed must find room, or it would be told to come back for ever."""
        needed = self.max_request_bytes + self.max_inflated_bytes
        if self.max_buffered_bytes < needed:
            raise ValueError(f"max_buffered_bytes must be at least max_request_bytes + max_inflated_bytes, {needed}")
        return self

    @property
    def content_limits(self) -> ContentLimits:
        """Limits of what a request may hold."""
        return ContentLimits(
            max_records=self.max_records,
            max_json_values=self.max_json_values,
            max_attributes=self.max_attributes,
            max_value_bytes=self.max_value_bytes,
            max_nesting_depth=self.max_nesting_depth,
            max_fields=self.max_fields,
        )
