"""OTLP over HTTP (protobuf) to a destination."""

from __future__ import annotations

import asyncio
import gzip
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import requests
from urllib3.exceptions import HTTPError, NewConnectionError

from spanledger.core.errors import ConfigError
from spanledger.core.usage import Signal
from spanledger.exporter.client import Accepted, Deferred, Destination, Outcome, Refused
from spanledger.exporter.headers import Headers
from spanledger.exporter.http_answers import AnswerTooLongError, TimelyAdapter, content_of
from spanledger.exporter.said import said, said_in_answer, unforeseen, went_wrong
from spanledger.otlp.status import rejected

# OTLP specification, "Failures": these may be tried again.
_RETRYABLE = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_FAULTS_OF_CONFIGURATION = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
        HTTPStatus.REQUEST_TIMEOUT,
    }
)


class HttpClient:
    """Posts request bodies; the blocking library runs in a thread. Each new connection reads the certificates again."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._urls = {signal: _url(destination, signal) for signal in Signal}
        self._headers = Headers(destination.headers, destination.headers_file)
        # Threads of its own: a destination that does not answer must not take those of another.
        self._threads = ThreadPoolExecutor(thread_name_prefix="spanledger-http-export")
        self._session = _Session()
        self._session.auth = _as_it_is
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, TimelyAdapter())
        self._session.headers["accept-encoding"] = "identity"
        self._session.headers["content-type"] = "application/x-protobuf"
        if destination.gzip:
            self._session.headers["content-encoding"] = "gzip"
        tls = destination.tls
        for file in (tls.ca_file, tls.cert_file, tls.key_file):
            if file is not None and not file.is_file():
                raise ConfigError([f"{file}: certificate or key cannot be read: no such file"])
        # Given with each request: a session's own authority gives way to REQUESTS_CA_BUNDLE of the environment.
        self._verify: str | None = None if tls.ca_file is None else str(tls.ca_file)
        if tls.cert_file is not None and tls.key_file is not None:
            self._session.cert = (str(tls.cert_file), str(tls.key_file))

    async def export(self, signal: Signal, body: bytes) -> Outcome:
        """Send one request body; see `OtlpClient`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._post, signal, body)
        except Exception as error:  # noqa: BLE001 - whatever an answer makes a library raise, it is told and tried again
            return Deferred(f"{self._shown_url(signal)}: {unforeseen(error)}", in_doubt=True)

    async def close(self) -> None:
        """Close connections; what is under way ends by its own time-out."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    def _post(self, signal: Signal, body: bytes) -> Outcome:
        data = gzip.compress(body) if self._destination.gzip else body
        shown_url = self._shown_url(signal)
        headers = self._headers.current()
        try:
            answer = self._session.post(
                self._urls[signal],
                data=data,
                headers=headers,
                verify=self._verify,
                timeout=self._destination.timeout_seconds,
                allow_redirects=False,
                stream=True,
            )
            content = content_of(answer)
        except (OSError, HTTPError, AnswerTooLongError) as error:
            why = went_wrong(error, self._destination.timeout_seconds)
            return Deferred(f"{shown_url}: {why}", in_doubt=not _never_connected(error))
        if answer.ok and answer.status_code < HTTPStatus.MULTIPLE_CHOICES:
            receipt = rejected(signal, content, len(body))
            return Accepted(receipt.rejected, said(receipt.message, headers))
        told = said_in_answer(content, answer.headers.get("content-type", ""), headers)
        return _failure(answer, f"{shown_url}: HTTP {answer.status_code}: {told or said(answer.reason, headers)}")

    def _shown_url(self, signal: Signal) -> str:
        return self._urls[signal].partition("?")[0]  # some backends take their key in the query


class _Session(requests.Session):
    """Follows no redirect: the library looks at them, and reads their bodies whole, even when told not to follow."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep the headers that were set: without this the user's ~/.netrc would replace our credentials."""
    return request


def _url(destination: Destination, signal: Signal) -> str:
    """A URL for one signal is used as it is; the common one gets the signal's path (specification of the exporter)."""
    return destination.endpoints.get(signal) or f"{destination.endpoint.rstrip('/')}/v1/{signal.value}"


def _failure(answer: requests.Response, reason: str) -> Outcome:
    status = answer.status_code
    redirected = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
    # A proxy answers 502 and 504 for a server that may have taken it; another fault of a server tells nothing either.
    in_doubt = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.SERVICE_UNAVAILABLE
    if status in _RETRYABLE or status in _FAULTS_OF_CONFIGURATION or redirected:
        return Deferred(reason, _retry_after_seconds(answer.headers.get("retry-after", "")), in_doubt)
    return Refused(reason, in_doubt)


def _never_connected(error: Exception) -> bool:
    """Whether a request failed before a byte of it was sent."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", None), NewConnectionError)


def _retry_after_seconds(value: str) -> float | None:
    """Read Retry-After: seconds or a date (RFC 9110, 10.2.3)."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
