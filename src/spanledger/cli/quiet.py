"""Keeps gRPC's C library from writing lines of its own on standard error. It asks the environment when it is imported.

It would write one for every handshake that it refuses, so that a stranger could fill the log, in a form of its own.
What goes wrong we tell ourselves. Who looks for a fault of the library sets GRPC_VERBOSITY, and has it as before.
"""

from __future__ import annotations

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
