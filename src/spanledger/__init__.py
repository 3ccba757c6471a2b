"""Exact, explainable Claude Code cost in the observability stack that you already run."""
