"""Bearer tokens: who a request is from."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from spanledger.config.files import look_at
from spanledger.config.tokens import load_tokens
from spanledger.core.errors import ConfigError, PermanentError
from spanledger.core.events import Event
from spanledger.core.reasons import Reason
from spanledger.core.tenant import Tenant
from spanledger.logs import tell


class Tokens:
    """The tokens of a file, which is read again when it changes.

    A token is looked up under a keyed hash whose key only this process knows, and what is found is compared in constant
    time: how long a refusal takes tells nothing of any token.
    """

    def __init__(self, file: Path) -> None:
        """Read the file for the first time.

        Raises:
            ConfigError: it cannot be used; every mistake with its line.
        """
        self._file = file
        self._key = secrets.token_bytes(32)
        self._seen = look_at((file,))
        self._tenants = self._read()

    def tenant_of(self, authorization: str | None) -> Tenant:
        """Who an `authorization` header stands for.

        Raises:
            PermanentError: nobody.
        """
        self._read_again()
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise PermanentError("a bearer token is required", Reason.UNAUTHENTICATED)
        name = self._named(hashlib.sha256(token.strip().encode("latin-1", "replace")).digest())
        found, tenant = self._tenants.get(name, (b"", None))
        if not hmac.compare_digest(found, name) or tenant is None:
            raise PermanentError("the bearer token is not known", Reason.UNAUTHENTICATED)
        return tenant

    def _named(self, digest: bytes) -> bytes:
        return hmac.digest(self._key, digest, "sha256")

    def _read(self) -> dict[bytes, tuple[bytes, Tenant]]:
        tenants = {self._named(digest): tenant for digest, tenant in load_tokens(self._file).items()}
        return {name: (name, tenant) for name, tenant in tenants.items()}

    def _read_again(self) -> None:
        """Read a changed file; one that cannot be used is told once, and what it said before still holds."""
        state = look_at((self._file,))
        if state == self._seen:
            return
        self._seen = state
        try:
            self._tenants = self._read()
        except ConfigError as error:
            tell(Event.RECEIVER_TOKENS_REFUSED, problems="; ".join(error.problems))
