"""What the service's process asks of the system."""

from __future__ import annotations

import ctypes
import resource

_M_MMAP_THRESHOLD = -3
"""glibc's number of the setting (malloc.h)."""

_OWN_MAPPING_BYTES = 2**20
"""From this size on a piece of memory goes back to the system as soon as it is free."""


def allow_open_files(wanted: int) -> None:
    """Raise the soft limit of open files towards the hard one: every connection is a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def give_back_large_memory() -> None:
    """Keep request bodies out of the heaps, where each would leave a hole that the next one does not fit.

    glibc raises this size by itself, to 32 MiB, as soon as one such body was freed; once set, it stays. Other C
    libraries have no such setting and need none.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _OWN_MAPPING_BYTES)
