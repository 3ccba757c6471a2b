"""Answers over HTTP within one time and size: `requests` has a time for each read alone, and no size."""

from __future__ import annotations

import io
import socket
import time
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_ANSWER_BYTES = 2**20
"""What is read of an answer: of OTLP it is a few hundred bytes, with a message that a person reads."""


class TimelyAdapter(HTTPAdapter):
    """Takes the time-out of a request for the time from its start to the end of its answer.

    Not within it: looking up the name, and a host's further addresses. Through a SOCKS proxy it is one for each read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - as the session calls it
        """Send a request."""
        return super().send(*args, **kwargs | {"timeout": Timeout(total=kwargs.get("timeout"))})

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: object) -> PoolManager:
        """Make the connections through a proxy."""
        manager: PoolManager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager


def content_of(answer: requests.Response) -> bytes:
    """Read the body of an answer to a request with `stream=True`, as it came, and let go of the connection.

    Raises:
        AnswerTooLongError: it is longer than `MAX_ANSWER_BYTES`.
        urllib3.exceptions.HTTPError: the connection broke, or the time was over.
    """
    content = b""
    with answer:
        while chunk := answer.raw.read(MAX_ANSWER_BYTES + 1, decode_content=False):
            content += chunk
            if len(content) > MAX_ANSWER_BYTES:
                raise AnswerTooLongError
    return content


class AnswerTooLongError(Exception):
    """An answer that no OTLP receiver gives."""

    def __init__(self) -> None:
        super().__init__(f"the answer is longer than {MAX_ANSWER_BYTES} bytes: see whether OTLP is received there")


class _TimelyReader(io.RawIOBase):
    """What comes on a socket, as long as the time-out that the socket had at first is not over."""

    def __init__(self, raw: io.RawIOBase, connected: socket.socket) -> None:
        self._raw = raw
        self._socket = connected
        patience_seconds = connected.gettimeout()
        self._deadline = None if patience_seconds is None else time.monotonic() + patience_seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if self._deadline is not None:
            left_seconds = self._deadline - time.monotonic()
            if left_seconds <= 0:
                raise TimeoutError("the answer took too long")
            self._socket.settimeout(left_seconds)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimelyAnswer(HTTPResponse):
    def __init__(self, sock: socket.socket, debuglevel: int = 0, method: str | None = None) -> None:
        super().__init__(sock, debuglevel, method)
        self.fp = io.BufferedReader(_TimelyReader(self.fp.detach(), sock))


class _PlainConnection(HTTPConnection):
    response_class = _TimelyAnswer


class _TlsConnection(HTTPSConnection):
    response_class = _TimelyAnswer


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _PlainPool, "https": _TlsPool}
