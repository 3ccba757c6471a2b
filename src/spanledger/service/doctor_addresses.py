"""What the doctor sees of the addresses that settings have the service listen on, and of the limits of what comes."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from itertools import combinations
from pathlib import Path

from spanledger.config.fields import host_and_port
from spanledger.config.receivers import Receiver
from spanledger.config.sections import Settings
from spanledger.ledger.database import is_served, lock_file
from spanledger.receiver.admin_server import ALIVE
from spanledger.receiver.listener import require_free
from spanledger.service.findings import Finding, Level
from spanledger.service.receivers import open_endpoints

_GRPC, _ADMIN = "receiver.grpc.endpoint", "admin.endpoint"
_PATIENCE_SECONDS = 2.0
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, not bound
_NOT_OURS = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


def examine_addresses(settings: Settings) -> Iterator[Finding]:
    """Try every address, as the service would at its start."""
    endpoints = _endpoints(settings)
    served = _is_served(settings.ledger.path)
    twice = {
        second: first for first, second in combinations(endpoints, 2) if _overlap(endpoints[first], endpoints[second])
    }
    for key, endpoint in endpoints.items():
        if key in twice:
            what = f"{endpoint} is the address of {twice[key]} too"
            yield Finding(key, Level.PROBLEM, what, "give each a port of its own: the service does not start so")
        else:
            yield _tried(key, endpoint, settings.ledger.path, served=served)
    yield from _doors(settings.receiver)
    yield from _limits(settings.receiver)


def _endpoints(settings: Settings) -> dict[str, str]:
    receiver, admin = settings.receiver, settings.admin.endpoint
    data = {_GRPC: receiver.grpc.endpoint, "receiver.http.endpoint": receiver.http.endpoint}
    return data if admin is None else data | {_ADMIN: admin}


def _is_served(ledger: Path) -> bool | None:
    """Whether a service runs on the ledger; None when its lock is another user's. Nothing is left beside no ledger."""
    path = ledger.resolve()
    lock = lock_file(path)
    if not lock.is_file():
        return False
    if not all(os.access(one, os.R_OK | os.W_OK) for one in (lock, path.parent)):
        return None
    return is_served(path)


def _tried(key: str, endpoint: str, ledger: Path, *, served: bool | None) -> Finding:
    try:
        require_free(endpoint, first_alone=key != _GRPC)
    except OSError as error:
        return _refused(key, endpoint, error, ledger, served=served)
    if served:
        what = f"{endpoint} is free, although a service runs on the ledger"
        return Finding(key, Level.NOTE, what, "it was started with another address: give the doctor the same settings")
    return Finding(key, Level.NOTE, f"{endpoint} is free: no service runs here", "start it with `spanledger serve`")


def _refused(key: str, endpoint: str, error: OSError, ledger: Path, *, served: bool | None) -> Finding:
    what = f"{endpoint} cannot be listened on: {error.strerror}"
    match error:
        case OSError(errno=errno.EADDRINUSE) if served is not False and (key != _ADMIN or _is_alive(endpoint)):
            return Finding(key, Level.NOTE, what, f"nothing, when that is the service that runs on {ledger}")
        case OSError(errno=errno.EADDRINUSE) if served:
            advice = "what listens there does not answer as the service does: end it, or choose another port"
        case OSError(errno=errno.EADDRINUSE):
            advice = (
                f"no service runs on {ledger}: end what listens there, choose another port, or name the right ledger"
            )
        case OSError(errno=errno.EACCES | errno.EPERM):
            advice = "choose a port from 1024 on, or let the service's user listen there (CAP_NET_BIND_SERVICE)"
        case socket.gaierror():
            advice = "name this machine, or listen on localhost or 0.0.0.0"
        case _ if error.errno in _NOT_OURS:
            advice = "that is no address of this machine: listen on one that is, on localhost or on 0.0.0.0"
        case _:
            advice = "choose another address"
    return Finding(key, Level.PROBLEM, what, advice)


def _is_alive(endpoint: str) -> bool:
    """Whether what listens there answers as our health endpoint does."""
    host, port = host_and_port(endpoint)
    asked = HTTPConnection("localhost" if host in _WILDCARDS else host, port, timeout=_PATIENCE_SECONDS)
    try:
        asked.request("GET", "/healthz")
        return asked.getresponse().read(len(ALIVE) + 1) == ALIVE
    except (OSError, HTTPException):
        return False
    finally:
        asked.close()


def _overlap(one: str, other: str) -> bool:
    """Whether one listener would stand in the other's way. Port 0 takes a free one."""
    (host, port), (other_host, other_port) = host_and_port(one), host_and_port(other)
    if port != other_port or port == 0:
        return False
    return bool({host, other_host} & _WILDCARDS) or bool(_resolved(host) & _resolved(other_host))


def _resolved(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return {host}


def _doors(receiver: Receiver) -> Iterator[Finding]:
    wide = open_endpoints(receiver)
    if wide:
        what = f"anybody who reaches {' and '.join(wide)} can send"
        advice = "set receiver.auth.tokens_file or receiver.tls.client_ca_file, or listen on localhost"
        yield Finding("receiver", Level.PROBLEM, what, advice)


def _limits(receiver: Receiver) -> Iterator[Finding]:
    if receiver.max_inflated_bytes < receiver.max_request_bytes:
        what = (
            f"{receiver.max_inflated_bytes} is less than receiver.max_request_bytes, {receiver.max_request_bytes}: "
            "a compressed request is held to less than a plain one"
        )
        yield Finding("receiver.max_inflated_bytes", Level.PROBLEM, what, "make it at least as large")
