"""Digests: short names for what has none of its own."""

from __future__ import annotations

import hashlib


def digest_of(*parts: str) -> str:
    """Name a sequence of texts in 32 hexadecimal digits: equal sequences have equal names."""
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()
