"""Wire to core and back: OTLP protobuf and JSON, decoded, enriched, encoded.

Owns every byte of OTLP. May import `core` and protobuf; knows no socket, no file and no clock.
"""
