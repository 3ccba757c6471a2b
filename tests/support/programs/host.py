"""A program that knows nothing of spanledger: two model calls, each a span and an event of the GenAI conventions."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry._logs import get_logger

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-haiku-4-5",
    "gen_ai.response.model": "claude-haiku-4-5-20251001",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
    "gen_ai.usage.cache_read.input_tokens": 400,
}

tracer, logger = trace.get_tracer("host"), get_logger("host")
with tracer.start_as_current_span("invoke_agent", attributes={"gen_ai.operation.name": "invoke_agent"}):
    for number in (1, 2):
        call = CALL | {"gen_ai.response.id": f"msg_{number}"}
        with tracer.start_as_current_span("chat claude-haiku-4-5", attributes=call):
            logger.emit(event_name="gen_ai.client.inference.operation.details", attributes=call)
