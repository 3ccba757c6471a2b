"""Run the `spanledger` command under a sampling profiler of all its threads; prints a profile when it ends.

A thread that waits (for sockets, the queue, or a lock) is not counted. For `pipeline.py --profile`.
"""

from __future__ import annotations

import collections
import sys
import threading
from types import FrameType

from spanledger.cli.main import main

INTERVAL_SECONDS = 0.002
SHOWN = 25
WAITING = frozenset({"wait", "get", "select", "poll", "run_forever", "run_until_complete", "_worker", "run", "_take"})


def sample(stop: threading.Event, inside: collections.Counter[str], below: collections.Counter[str]) -> None:
    own = threading.get_ident()
    while not stop.wait(INTERVAL_SECONDS):
        for thread, frame in sys._current_frames().items():
            if thread != own and frame.f_code.co_name not in WAITING:
                inside[_name(frame)] += 1
                below.update(_stack(frame))


def _stack(frame: FrameType | None) -> set[str]:
    names = set()
    while frame is not None:
        if "spanledger" in frame.f_code.co_filename:
            names.add(_name(frame))
        frame = frame.f_back
    return names


def _name(frame: FrameType) -> str:
    return f"{'/'.join(frame.f_code.co_filename.rsplit('/', 2)[-2:])}:{frame.f_code.co_qualname}"


def profile() -> None:
    stop, inside, below = threading.Event(), collections.Counter(), collections.Counter()
    sampler = threading.Thread(target=sample, args=(stop, inside, below), daemon=True)
    sampler.start()
    try:
        main()
    finally:
        stop.set()
        sampler.join()
        total = max(1, sum(inside.values()))
        for title, counts in (("in itself", inside), ("with what it calls", below)):
            print(f"-- {title}", file=sys.stderr)
            for name, count in counts.most_common(SHOWN):
                print(f"{100 * count / total:5.1f} %  {name}", file=sys.stderr)


if __name__ == "__main__":
    profile()
