"""Price files of a running service: when they are loaded, and what a bad one does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from spanledger.config.files import look_at
from spanledger.config.sections import Settings
from spanledger.core.events import Event
from spanledger.core.settling import Prices
from spanledger.service.assembly import load_prices
from spanledger.service.price_files import PriceFiles
from spanledger.telemetry import Counter, Counters
from support.logged import messages_of
from support.price_lists import RATES_LINE, put_list

TIMEOUT_SECONDS = 30


class Running:
    """Price files as a service has them, and the versions that were taken over."""

    def __init__(self, path: Path) -> None:
        settings = Settings.model_validate({"prices": {"files": [str(path)]}})
        self.used: list[str] = []
        self.counters = Counters()
        self.failures: list[Exception] = []
        self._taken = asyncio.Event()
        self.files = PriceFiles(
            settings.prices.paths,
            look_at(settings.prices.paths),
            lambda: load_prices(settings),
            self._use,
            self.counters,
            interval_seconds=0.01,
        )

    async def taken(self) -> None:
        """Wait until prices are taken over."""
        await asyncio.wait_for(self._taken.wait(), TIMEOUT_SECONDS)
        self._taken.clear()

    async def _use(self, prices: Prices) -> None:
        if self.failures:
            raise self.failures.pop()
        self.used.append(prices.book.id.partition("#")[0])
        self._taken.set()


def told(path: Path, story: Callable[[Running], Awaitable[None]]) -> Running:
    async def run() -> Running:
        running = Running(path)
        await story(running)
        return running

    return asyncio.run(run())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    put_list(tmp_path / "list.yaml", 1)
    return tmp_path / "list.yaml"


def test_files_that_do_not_change_are_not_loaded(path: Path) -> None:
    async def story(running: Running) -> None:
        for _ in range(3):
            await running.files.look()

    assert told(path, story).used == []


def test_a_change_is_loaded_when_it_has_come_to_rest_and_once(path: Path) -> None:
    async def story(running: Running) -> None:
        put_list(path, 2)
        await running.files.look()
        put_list(path, 3)
        await running.files.look()
        assert running.used == []  # it changed between the looks: somebody is at it
        for _ in range(3):
            await running.files.look()

    assert told(path, story).used == ["list@3"]


def test_a_bad_file_keeps_the_old_prices_and_is_told_once_with_its_place(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(running: Running) -> None:
        put_list(path, 2, rate="two")
        for _ in range(5):
            await running.files.look()
        assert running.files.refused == 1
        put_list(path, 3)
        for _ in range(2):
            await running.files.look()

    running = told(path, story)
    assert running.used == ["list@3"]
    assert running.files.refused == 0
    assert running.counters.snapshot()[Counter.PRICE_LOADS_REFUSED] == 1
    (message,) = messages_of(caplog, Event.PRICES_REFUSED)
    assert f"{path}:{RATES_LINE}: " in message
    assert "rates.input" in message


def test_a_file_that_is_gone_is_refused_and_taken_again_when_it_is_back(path: Path) -> None:
    async def story(running: Running) -> None:
        gone = path.rename(path.with_name("gone.yaml"))  # noqa: ASYNC240
        for _ in range(3):
            await running.files.look()
        assert running.files.refused == 1
        put_list(gone, 2)
        gone.rename(path)
        for _ in range(3):
            await running.files.look()

    assert told(path, story).used == ["list@2"]


def test_good_prices_that_could_not_be_taken_over_are_tried_again(path: Path) -> None:
    """A full disk is no fault of the file."""

    async def story(running: Running) -> None:
        put_list(path, 2)
        running.failures.append(OSError("disk full"))
        await running.files.look()
        with pytest.raises(OSError, match="disk full"):
            await running.files.look()
        assert running.files.refused == 0
        await running.files.look()

    assert told(path, story).used == ["list@2"]


def test_two_states_of_the_files_are_never_mixed(path: Path) -> None:
    """While the files are read they change, twice: read again; and without end: refused."""
    changes = iter(range(2, 10**6))

    async def story(running: Running) -> None:
        load, limit = running.files._load, [4]

        def changing() -> Prices:
            prices = load()
            version = next(changes)
            if version < limit[0]:
                put_list(path, version)
            return prices

        running.files._load = changing
        assert await running.files.load()
        assert running.used == ["list@3"]
        limit[0] = 10**6
        assert not await running.files.load()
        assert running.files.refused == 1

    assert told(path, story).used == ["list@3"]


def test_it_looks_by_itself_and_loads_at_once_when_asked(path: Path) -> None:
    async def story(running: Running) -> None:
        task = asyncio.create_task(running.files.run())
        put_list(path, 2)
        await running.taken()
        running.files.ask()
        await running.taken()
        running.files.stop()
        await task

    assert told(path, story).used == ["list@2", "list@2"]


def test_a_link_that_points_elsewhere_is_a_change(tmp_path: Path) -> None:
    """Kubernetes changes a mounted ConfigMap by putting a link in the place of another."""
    for version in (1, 2):
        (tmp_path / f"v{version}").mkdir()
        put_list(tmp_path / f"v{version}" / "list.yaml", version)
        os.utime(tmp_path / f"v{version}" / "list.yaml", ns=(0, 0))
    (tmp_path / "now").symlink_to(tmp_path / "v1")

    async def story(running: Running) -> None:
        (tmp_path / "then").symlink_to(tmp_path / "v2")
        (tmp_path / "then").replace(tmp_path / "now")
        for _ in range(2):
            await running.files.look()

    assert told(tmp_path / "now" / "list.yaml", story).used == ["list@2"]
