"""The `spanledger` command: one module a verb."""
