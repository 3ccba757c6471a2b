"""The only place that wires stages together: pipeline, settling, serving, replaying, demonstrating."""
