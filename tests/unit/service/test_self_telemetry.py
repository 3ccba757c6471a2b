"""What the component says of itself before it has counted anything."""

from __future__ import annotations

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from spanledger.service.self_telemetry import SelfTelemetry
from spanledger.telemetry import Counters


def forwarded(*destinations: str) -> list[tuple[int, dict[str, str]]]:
    telemetry = SelfTelemetry(Counters(), {}, destinations)
    request = ExportMetricsServiceRequest.FromString(telemetry.body())
    telemetry.close()
    metrics = {metric.name: metric for metric in request.resource_metrics[0].scope_metrics[0].metrics}
    return [
        (point.as_int, {pair.key: pair.value.string_value for pair in point.attributes})
        for point in metrics["spanledger.forward.payloads"].sum.data_points
    ]


def test_what_is_forwarded_is_0_to_each_destination_and_to_none() -> None:
    assert forwarded("a", "b") == [(0, {"destination": "a"}), (0, {"destination": "b"})]
    assert forwarded() == [(0, {})]
