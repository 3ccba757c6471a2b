"""Durable truth: evidence, postings, control totals, series and the outbox in one SQLite file.

The only package that speaks SQL. May import `core`, `config` and `telemetry`; never another stage.
"""
