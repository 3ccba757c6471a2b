"""Fuzzing guided by coverage: the property of tests/property/test_fuzz.py, on inputs that atheris grows from captures.

    make fuzz FUZZ_SECONDS=300

The first byte of an input chooses signal, encoding and tenant; the rest is the body. A finding is written to a file
`crash-…` and printed; it stays found until it is mended.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "property")]

with atheris.instrument_imports(include=["spanledger"]):
    from test_fuzz import bodies

    from spanledger.core.delivery import Encoding
    from spanledger.core.usage import Signal
    from support.reading import TENANT, read

CHOICES = [(signal, encoding, tenant) for signal in Signal for encoding in Encoding for tenant in (None, TENANT)]
SEEDS_MAX = 60


def one_input(data: bytes) -> None:
    """Read one input; anything that is raised is a finding."""
    if data:
        signal, encoding, tenant = CHOICES[data[0] % len(CHOICES)]
        read(signal, encoding, data[1:], tenant=tenant)


def main() -> None:
    """Fuzz for a time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="how long")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as corpus:
        for number, (signal, encoding, _) in enumerate(CHOICES):
            for place, body in enumerate(bodies(signal, encoding)[:SEEDS_MAX]):
                (Path(corpus) / f"{number}-{place}").write_bytes(bytes([number]) + body)
        options = [f"-max_total_time={seconds}", "-max_len=20000", "-timeout=20", "-rss_limit_mb=2000"]
        atheris.Setup([sys.argv[0], *options, corpus], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
