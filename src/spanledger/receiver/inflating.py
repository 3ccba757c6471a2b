"""Decompression with an end: no body grows larger than the limits, however small it came."""

from __future__ import annotations

import zlib

from spanledger.config.receivers import Receiver
from spanledger.core.errors import PermanentError
from spanledger.core.reasons import Reason

GZIP_MAGIC = b"\x1f\x8b"
"""How every gzip stream begins. No OTLP request in protobuf does: it would be a field of a wire type that is none."""

_GZIP, _ZLIB = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_WINDOWS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}
_FREE_BYTES = 2**20
"""So much may come of any body before its ratio counts: a short, regular body is no bomb."""

_PIECE_BYTES = 2**16
"""A whole body is fed in such pieces, so that a bomb is known by its ratio before much has come of it."""

_MEMBERS_MAX = 1_000
"""Streams one behind the other in one gzip body; each costs time, even an empty one."""


class Inflater:
    """Decompresses one body, piece by piece."""

    def __init__(self, content_encoding: str, limits: Receiver) -> None:
        """Begin.

        Raises:
            PermanentError: not a compression that OTLP has.
        """
        window = _WINDOWS.get(content_encoding)
        if window is None:
            raise PermanentError(
                f"content encoding {content_encoding[:40]!r} is not supported; send gzip or none",
                Reason.UNSUPPORTED_ENCODING,
            )
        self._window = window
        self._limits = limits
        self._stream = zlib.decompressobj(window)
        self._members = 1
        self._received = self._inflated = 0

    def feed(self, piece: bytes) -> bytes:
        """Decompress the next piece.

        Raises:
            PermanentError: the piece is broken, or what came of the body is over a limit.
        """
        self._received += len(piece)
        inflated: list[bytes] = []
        while piece:
            if self._stream.eof:
                self._next_member()
            chunk = self._decompress(piece)
            inflated.append(chunk)
            self._inflated += len(chunk)
            self._check()
            piece = self._stream.unconsumed_tail or self._stream.unused_data
        return b"".join(inflated)

    def finish(self) -> None:
        """Say that the body is complete.

        Raises:
            PermanentError: it is not.
        """
        if self._received and not self._stream.eof:
            raise PermanentError("the compressed body ends too early", Reason.BAD_COMPRESSION)

    def _decompress(self, piece: bytes) -> bytes:
        room = min(self._limits.max_inflated_bytes, self._allowed_by_ratio()) - self._inflated
        try:
            return self._stream.decompress(piece, room + 1)
        except zlib.error as error:
            raise PermanentError(f"the compressed body cannot be read: {error}", Reason.BAD_COMPRESSION) from None

    def _check(self) -> None:
        limits = self._limits
        if self._inflated > limits.max_inflated_bytes:
            raise PermanentError(
                f"the body is larger than {limits.max_inflated_bytes} bytes when decompressed",
                Reason.INFLATED_TOO_LARGE,
            )
        if self._inflated > self._allowed_by_ratio():
            raise PermanentError(
                f"the body grows more than {limits.max_inflation_ratio} times when decompressed",
                Reason.INFLATED_TOO_MUCH,
            )

    def _allowed_by_ratio(self) -> int:
        return max(_FREE_BYTES, self._received * self._limits.max_inflation_ratio)

    def _next_member(self) -> None:
        self._members += 1
        if self._members > _MEMBERS_MAX:
            raise PermanentError("the compressed body has too many parts", Reason.BAD_COMPRESSION)
        self._stream = zlib.decompressobj(self._window)


def inflated(body: bytes, content_encoding: str, limits: Receiver) -> bytes:
    """Decompress a whole body.

    Raises:
        PermanentError: it is broken, or over a limit.
    """
    inflater = Inflater(content_encoding, limits)
    pieces = (body[start : start + _PIECE_BYTES] for start in range(0, len(body), _PIECE_BYTES))
    content = b"".join([inflater.feed(piece) for piece in pieces])
    inflater.finish()
    return content
