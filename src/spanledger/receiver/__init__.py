"""OTLP servers: bytes in, status out.

Owns the gRPC and HTTP listeners. May import `core`, `otlp`, `config` and `telemetry`; never another stage.
"""
