"""Answers of an OTLP receiver: partial success, and errors as google.rpc.Status (OTLP specification, "Failures")."""

from __future__ import annotations

import json

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanledger.core.delivery import Encoding, Receipt
from spanledger.core.usage import Signal

_RESPONSES: dict[Signal, type[Message]] = {
    Signal.TRACES: ExportTraceServiceResponse,
    Signal.LOGS: ExportLogsServiceResponse,
    Signal.METRICS: ExportMetricsServiceResponse,
}
_REJECTED = {
    Signal.TRACES: ("rejected_spans", "rejectedSpans"),
    Signal.LOGS: ("rejected_log_records", "rejectedLogRecords"),
    Signal.METRICS: ("rejected_data_points", "rejectedDataPoints"),
}

_RECORD_BYTES_MIN = 2


def response(signal: Signal, receipt: Receipt, encoding: Encoding) -> bytes:
    """Body of an export response; `partial_success` is unset when everything was taken."""
    unset = not receipt.rejected and not receipt.message
    name, json_name = _REJECTED[signal]
    match encoding:
        case Encoding.JSON:
            partial = {json_name: str(receipt.rejected), "errorMessage": receipt.message}
            return b"{}" if unset else json.dumps({"partialSuccess": partial}).encode()
        case Encoding.PROTOBUF:
            if unset:
                return b""
            answer = _RESPONSES[signal]()
            partial_success = answer.partial_success  # type: ignore[attr-defined]
            setattr(partial_success, name, receipt.rejected)
            partial_success.error_message = receipt.message
            return answer.SerializeToString()


def rejected(signal: Signal, body: bytes, sent_bytes: int) -> Receipt:
    """Read an export response in protobuf; a body that is none says nothing of rejected records.

    No more are taken for rejected than the request can have had, two bytes each, and no less than none.
    """
    try:
        answer = _RESPONSES[signal].FromString(body)
    except DecodeError:
        return Receipt()
    partial_success = answer.partial_success  # type: ignore[attr-defined]
    count = getattr(partial_success, _REJECTED[signal][0])
    return Receipt(max(0, min(count, sent_bytes // _RECORD_BYTES_MIN)), partial_success.error_message)


def error_status(code: int, message: str, *, retry_after_seconds: float | None, encoding: Encoding) -> bytes:
    """A google.rpc.Status; with a delay it carries RetryInfo. `code` is a google.rpc.Code."""
    match encoding:
        case Encoding.JSON:
            status: dict[str, object] = {"code": code, "message": message}
            if retry_after_seconds is not None:
                kind = "type.googleapis.com/google.rpc.RetryInfo"
                status["details"] = [{"@type": kind, "retryDelay": f"{retry_after_seconds:g}s"}]
            return json.dumps(status).encode()
        case Encoding.PROTOBUF:
            encoded = Status(code=code, message=message)
            if retry_after_seconds is not None:
                delay = Duration()
                delay.FromNanoseconds(round(retry_after_seconds * 1e9))
                encoded.details.add().Pack(RetryInfo(retry_delay=delay))
            return bytes(encoded.SerializeToString())


def retry_delay_seconds(status: bytes) -> float | None:
    """Delay that a google.rpc.Status asks for; None when it has no RetryInfo or cannot be read."""
    try:
        details = Status.FromString(status).details
    except DecodeError:
        return None
    info = RetryInfo()
    for detail in details:
        try:
            if detail.Is(info.DESCRIPTOR) and detail.Unpack(info):
                return max(0.0, float(info.retry_delay.ToNanoseconds()) / 1e9)
        except DecodeError:
            return None
    return None


def status_message(status: bytes) -> str:
    """Message of a google.rpc.Status; empty when it cannot be read."""
    try:
        return str(Status.FromString(status).message)
    except DecodeError:
        return ""
