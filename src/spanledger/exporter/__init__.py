"""OTLP clients: forwarded telemetry and cost metrics out, with retries.

May import `core`, `otlp`, `config` and `telemetry`; never another stage: queues come in as protocols.
"""
