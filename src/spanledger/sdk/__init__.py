"""The plug-in for Python programs that use the OpenTelemetry SDK: it prices in the process and has no ledger.

May import core, config and telemetry; never the service, the ledger or a receiver. What it cannot know without them:
docs/plug-in.md.
"""

from spanledger.sdk.exporters import SpanledgerLogExporter, SpanledgerSpanExporter
from spanledger.sdk.pricer import Pricer

__all__ = ["Pricer", "SpanledgerLogExporter", "SpanledgerSpanExporter"]
