"""A client that sends until it is heard, as http/protobuf clients do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import requests

from spanledger.core.delivery import Delivery
from support.splitting import protobuf_body

_PAUSE_SECONDS = 0.05
_GIVE_UP_SECONDS = 60
_AT_ONCE = 6


@dataclass(slots=True)
class PatientSender:
    """Sends bodies to an address, each again and again until it is acknowledged. `repeats` counts what went twice."""

    address: str
    headers: Mapping[str, str]
    repeats: int = 0
    _session: requests.Session = field(default_factory=requests.Session)

    async def send(self, deliveries: Iterable[Delivery]) -> None:
        """Send some at a time; all are acknowledged afterwards."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(delivery: Delivery) -> None:
            async with gate, asyncio.timeout(_GIVE_UP_SECONDS):
                while not await asyncio.to_thread(self._post, delivery):
                    self.repeats += 1
                    await asyncio.sleep(_PAUSE_SECONDS)

        await asyncio.gather(*map(one, deliveries))

    def status(self, delivery: Delivery, headers: Mapping[str, str]) -> int:
        """HTTP status of one attempt with other headers."""
        return self._answer(delivery, headers).status_code

    def close(self) -> None:
        """Close connections."""
        self._session.close()

    def _post(self, delivery: Delivery) -> bool:
        try:
            answer = self._answer(delivery, self.headers)
        except (requests.ConnectionError, requests.Timeout):
            return False
        assert answer.status_code in (200, 503), answer.text
        return answer.ok

    def _answer(self, delivery: Delivery, headers: Mapping[str, str]) -> requests.Response:
        return self._session.post(
            f"http://{self.address}/v1/{delivery.signal}",
            data=protobuf_body(delivery),
            headers={**headers, "content-type": "application/x-protobuf"},
            timeout=10,
        )
