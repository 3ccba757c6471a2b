"""The budget watch: keeps up with the ledger, tells each level once in a period, goes on when it cannot read."""

from __future__ import annotations

import logging
import re
from datetime import date
from pathlib import Path

import pytest

from spanledger.config.sections import Settings
from spanledger.config.settings import load_settings
from spanledger.core.events import Event
from spanledger.service.budget_watch import BudgetWatch
from support.booking import Books, open_books
from support.logged import messages_of
from support.telling import NOW, SECOND, Client, Usage

MODEL = "claude-opus-5-5"
USD = 10**12
DAY = 86_400 * SECOND
TODAY = date(2026, 11, 24)  # of NOW


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "spanledger.yaml"
    file.write_text(
        "budgets:\n"
        "  warn_at_percent: [50, 100]\n"
        "  limits:\n"
        "    all: {period: month, limit_usd: 10}\n"
        "    each: {scope: user, owner: '*', period: day, limit_usd: 4, basis: [billed, unknown]}\n"
    )
    return load_settings(file, {}, {})


def spend(books: Books, usd: int, name: str, *, at: int = NOW, user: str = "ada") -> None:
    client = Client(user=user)
    books.take(client.log(f"req_{name}", MODEL, Usage(input=250_000 * usd), at=at), at=at).rest()


def spent(watch: BudgetWatch, today: date = TODAY) -> dict[tuple[str, str], int]:
    return {(state.budget.name, state.owner): state.spent_picousd // USD for state in watch.states(today)}


def test_it_keeps_up_and_a_new_one_sees_the_same(settings: Settings, tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db", settings) as books:
        watch = BudgetWatch(settings, tmp_path / "ledger.db")
        watch.refresh(NOW)
        spend(books, 2, "1")
        watch.refresh(NOW)
        assert spent(watch) == {("all", ""): 2, ("each", "ada"): 2}
        spend(books, 3, "2", user="bob")
        spend(books, 1, "3", at=NOW + DAY)  # the next day, by a clock that is ahead
        watch.refresh(NOW)
        assert spent(watch) == {("all", ""): 6, ("each", "ada"): 2, ("each", "bob"): 3}
        fresh = BudgetWatch(settings, tmp_path / "ledger.db")
        fresh.refresh(NOW)
        assert spent(fresh) == spent(watch)
        fresh.refresh(NOW + DAY)
        watch.refresh(NOW + DAY)
        tomorrow = date(2026, 11, 25)
        assert (
            spent(fresh, tomorrow) == spent(watch, tomorrow) == {("all", ""): 6, ("each", "ada"): 1, ("each", "bob"): 0}
        )


def test_each_level_is_told_once_in_a_period(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="spanledger")
    with open_books(tmp_path / "ledger.db", settings) as books:
        watch = BudgetWatch(settings, tmp_path / "ledger.db")

        def reached(at: int = NOW) -> list[str]:
            caplog.clear()
            watch.refresh(at)
            watch.refresh(at)
            pattern = re.compile(r"budget (\w+) .* reached (\d+) %")
            return [" ".join(pattern.findall(message)[0]) for message in messages_of(caplog, Event.BUDGET_REACHED)]

        assert reached() == []
        spend(books, 1, "1")
        assert reached() == []
        spend(books, 1, "2")
        assert reached() == ["each 50"]
        spend(books, 9, "3")
        assert reached() == ["all 100", "each 100"]
        spend(books, 9, "4")
        assert reached() == []
        spend(books, 2, "5", at=NOW + DAY)
        assert reached(NOW + DAY) == ["each 50"]
    (message,) = messages_of(caplog, Event.BUDGET_REACHED)
    assert message == (
        "budget each (user ada, day from 2026-11-25) reached 50 %: $2.00 of $4.00 spent, $20.00 expected by its end"
    )


def test_a_ledger_that_cannot_be_read_is_told_once_and_figures_stand(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ledger.db"
    with open_books(path, settings) as books:
        watch = BudgetWatch(settings, path)
        spend(books, 2, "1")
        watch.keep_up(NOW)
    away = path.rename(tmp_path / "away.db")
    for _ in range(3):
        watch.keep_up(NOW)
    (message,) = messages_of(caplog, Event.BUDGETS_STAND_STILL)
    assert message.startswith("budgets cannot be looked at, ")
    assert spent(watch)["all", ""] == 2
    away.rename(path)
    with open_books(path, settings) as books:
        spend(books, 1, "2")
        watch.keep_up(NOW)
        assert spent(watch)["all", ""] == 3


def test_another_ledger_in_its_place_is_read_anew(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    watch = BudgetWatch(settings, path)
    with open_books(path, settings) as books:
        spend(books, 2, "1")
        watch.refresh(NOW)
    for file in tmp_path.glob("ledger.db*"):
        file.unlink()
    with open_books(path, settings) as books:
        spend(books, 1, "2", at=NOW + SECOND)
        spend(books, 1, "3", at=NOW + SECOND)
        watch.refresh(NOW + SECOND)
        assert spent(watch)["all", ""] == 2
        assert spent(watch)["each", "ada"] == 2


def test_before_the_first_look_nothing_is_said(settings: Settings, tmp_path: Path) -> None:
    with open_books(tmp_path / "ledger.db", settings) as books:
        spend(books, 2, "1")
        watch = BudgetWatch(settings, tmp_path / "ledger.db")
        assert list(watch.readings(NOW)) == []
        watch.close()
        watch.refresh(NOW)  # a stop ends it: what is not known yet is not zero
        assert list(watch.readings(NOW)) == []
