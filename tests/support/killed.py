"""`spanledger` that kills itself, as `kill -9` would, just before a chosen step: KILL_AT=module:Class.method:n.

Run as `python -m support.killed KILL_AT ARGUMENTS...`: the n-th call of the method never begins.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from functools import wraps
from itertools import count

from spanledger.cli.main import app


def arm(kill_at: str) -> None:
    """Let the n-th call of a method end the process."""
    module, place, number = kill_at.split(":")
    owner_name, method_name = place.split(".")
    owner = getattr(importlib.import_module(module), owner_name)
    method = getattr(owner, method_name)
    calls = count(1)

    @wraps(method)
    def killing(*args: object, **kwargs: object) -> object:
        if next(calls) == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*args, **kwargs)

    setattr(owner, method_name, killing)


if __name__ == "__main__":
    arm(sys.argv[1])
    app(sys.argv[2:])
