"""`explain` and `session`: every figure that they show, to people and to programs, on sessions of real clients."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from spanledger.cli.main import app
from spanledger.core.posting import Status
from spanledger.core.usage import Evidence
from spanledger.core.verdict import VERDICT_TEXT
from support.booking import open_books
from support.replaying import replay_folders
from support.telling import NOW, SECOND, Client, Usage
from support.truth import CAPTURES

S02 = ("s02_tools_edit_commit", "a6247055-a671-447c-a605-ac732dd204e7")
S03 = ("s03_subagent", "ca7c1952-9a94-4a0e-ae3f-38d1ee6b3917")
S04D = ("s04d_stream_cut", "d88131c5-7310-4e61-82f8-59098d8496f3")
S05A = ("s05a_manual_compact", "d0c63f48-e550-4d63-a206-3d79561eaa67")
S06C = ("s06c_auto_mode_classifier", "856e3216-855d-42dc-897e-a994b107607d")
CUT_CALL = ("s04d_stream_cut", "req_01aFAKE0003X2k1n4fNHrVs")
Ledgers = Callable[[str], Path]


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Ledgers:
    """The ledger of a capture, made when it is first asked for."""
    folder = tmp_path_factory.mktemp("explain")

    @cache
    def ledger_of(name: str) -> Path:
        replay_folders([CAPTURES / name], folder / f"{name}.db")
        return folder / f"{name}.db"

    return ledger_of


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def shown(*arguments: str | Path) -> list[str]:
    """Lines of a table, with one space between words."""
    answer = run(*arguments)
    assert answer.exit_code == 0, answer.stderr
    return [" ".join(line.split()) for line in answer.stdout.splitlines()]


def told(*arguments: str | Path) -> dict[str, Any]:
    answer = run(*arguments, "--json")
    assert answer.exit_code == 0, answer.stderr
    return json.loads(answer.stdout)


def test_a_call_is_explained_line_by_line(ledgers: Ledgers) -> None:
    lines = shown("explain", CUT_CALL[1], "--ledger", ledgers(CUT_CALL[0]))
    assert lines[:4] == [
        f"Call {CUT_CALL[1]}",
        "What spoke of it",
        "signal log span",
        "time 2026-11-22T17:47:35.256Z 2026-11-22T17:47:35.258Z",
    ]
    for line in (
        "from claude-code 2.1.330 claude-code 2.1.330",
        "model claude-opus-5-5 claude-opus-5-5",
        "query source sdk sdk",
        "speed standard standard",
        "input 121 121",
        "cache read 12,033 12,033",
        "cache write 5m 539",
        "cache write unspecified 539",
        "client's USD 0.0177712",
        "input 121 4 0.000484",
        "output 59 20 0.00118",
        "cache read 12033 0.2 0.0024066",
        "cache write 5m 539 5 0.002695",
        "total 0.0067656",
        "Exact, from the log, billed to bdb04a4996ac…, team platform, department eng, cost_center cc-42",
        f"Session {S04D[1]}",
        "The client says $0.0177712, 0.0110056 more than the list",
        "Verdict: aborted_attempts: it holds attempts that were cut; their tokens are charged as residual",
        "0 2026-11-22T17:47:35.304Z 0.0067656 exact log unexplained charged",
    ):
        assert line in lines
    assert not [line for line in lines if line.startswith(("agent", "skill", "MCP"))]  # nothing to say


def test_a_call_as_one_object_can_be_worked_out_by_hand(ledgers: Ledgers) -> None:
    found = told("explain", CUT_CALL[1], "--ledger", ledgers(CUT_CALL[0]))
    charge = found["charge"]
    # What a pocket calculator says: count x rate, in USD per million, adds up to the cost.
    worked_out = [line["count"] * Decimal(line["usd_per_million"]) / 10**6 for line in charge["sum"]]
    assert worked_out == [Decimal(line["cost_usd"]) for line in charge["sum"]]
    assert sum(worked_out) == Decimal(charge["cost_usd"]) == Decimal("0.0067656")
    assert [line["token_class"] for line in charge["sum"]] == ["input", "output", "cache_read", "cache_write_5m"]
    assert (found["client_cost_usd"], found["difference_usd"], found["verdict"]) == (
        "0.0177712",
        "0.0110056",
        "aborted_attempts",
    )
    assert [signal["signal"] for signal in found["signals"]] == ["log", "span"]
    assert found["signals"][0]["sender"] == {
        "service": "claude-code",
        "version": "2.1.330",
        "session_id": S04D[1],
        "user": charge["user"],
        "tenant": None,
    }
    assert (charge["status"], charge["basis"], charge["evidence"]) == ("exact", "billed", "log")
    assert charge["price_row"] == "claude-opus-5-5@2026-09-22T00:00:00Z"
    assert [posting["reason"] for posting in found["postings"]] == [None, "refined", "refined"]


def test_times_are_shown_in_a_zone_that_is_asked_for(ledgers: Ledgers) -> None:
    zone = ("--ledger", ledgers(S04D[0]), "--timezone", "Asia/Tokyo")
    found = told("explain", CUT_CALL[1], *zone)
    assert found["charge"]["occurred"] == "2026-11-23T02:47:35.256+09:00"
    assert told("session", S04D[1], *zone)["end"] == "2026-11-23T02:47:35.256+09:00"
    answer = run("session", S04D[1], "--ledger", ledgers(S04D[0]), "--timezone", "Mars")
    assert answer.exit_code == 2
    assert "Mars" in answer.stderr


def test_what_the_ledger_does_not_know_is_told_and_exits_1(ledgers: Ledgers) -> None:
    for arguments, said in (
        (("explain", "req_none"), "no call 'req_none' in the ledger"),
        (("session", "none"), "nothing of session 'none' in the ledger"),
    ):
        answer = run(*arguments, "--ledger", ledgers(S04D[0]))
        assert (answer.exit_code, answer.stdout, answer.stderr.strip()) == (1, "", said)


def test_a_call_without_a_price_and_one_that_waits(tmp_path: Path) -> None:
    client, usage = Client(), Usage(1_000, 200, 10_000)
    path = tmp_path / "ledger.db"
    with open_books(path) as books:
        books.take(
            client.log("req_unpriced", "claude-next-9", usage), client.span("req_waits", "claude-opus-5-5", usage)
        )
    lines = shown("explain", "req_unpriced", "--ledger", path)
    assert any(line.startswith("Unpriced: unknown_model: ") for line in lines)
    assert "The client says no figure" in lines
    assert told("explain", "req_unpriced", "--ledger", path)["charge"]["cost_usd"] is None
    assert "Not charged yet: a span waits for its log event." in shown("explain", "req_waits", "--ledger", path)
    assert told("explain", "req_waits", "--ledger", path)["charge"] is None
    found = told("session", "session-1", "--ledger", path)
    assert (found["cost_usd"], found["unpriced"], found["by_model"]["claude-next-9"]["cost_usd"]) == (None, 1, None)
    assert "cost unpriced, 1 request; 1 without a price" in shown("session", "session-1", "--ledger", path)


def test_calls_without_a_request_id_are_told_apart(tmp_path: Path) -> None:
    client, usage = Client(), Usage(1_000, 200, 10_000)
    path = tmp_path / "ledger.db"
    with open_books(path) as books:
        where = {"trace": "ab" * 16, "parent": "0a" * 8}
        for n in range(2):  # two calls of one turn with equal tokens, told by a log event and a span each
            at = NOW + n * 60 * SECOND
            books.take(client.logs([client.event(None, "claude-opus-5-5", usage, n=n)], at=at, **where))
            books.take(client.span(None, "claude-opus-5-5", usage, at=at, span=f"0{n}" * 8, **where))
        books.rest()
        names = [call.identity for call in books.calls]
    assert len(names) == 2
    for name in names:
        assert [signal["signal"] for signal in told("explain", name, "--ledger", path)["signals"]] == ["log", "span"]


def test_a_residual_is_explained_by_its_identity(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_books(path) as books:
        sums = Client().sums("claude-opus-5-5", Usage(1_000, 200, 10_000), 0.01, start=NOW - SECOND, end=NOW)
        books.take(sums).rest()
        (residual,) = books.residuals
    lines = shown("explain", residual.identity, "--ledger", path)
    begins, ends = "2026-11-24T05:59:59.000Z", "2026-11-24T06:00:00.000Z"
    held = f"A residual: the client's sums from {begins} to {ends} hold it beyond the calls that records tell of"
    assert held in lines
    assert "total 0.01" in lines
    assert "Exact, from the client's sums, billed to user-1" in lines
    assert told("explain", residual.identity, "--ledger", path)["interval"] == [begins, ends]


def test_what_a_figure_gives_away_is_named(tmp_path: Path) -> None:
    """Sonnet 5, in micro-USD: 6 x 2 + 384 x 10 + 22,076 x 0.2 + 3,352 x 2.5 + 8,000 x 4 = 48,647.2; two searches."""
    path, usage = tmp_path / "ledger.db", Usage(6, 384, 22_076, 11_352)
    split = Usage(6, 384, 22_076, 11_352, write_5m=3_352, write_1h=8_000)
    with open_books(path) as books:
        client = Client(version="2.1.250")
        books.take(client.log("req_1", "claude-sonnet-5", usage, cost_usd=0.0486472)).rest()
        books.take(client.log("req_2", "claude-sonnet-5", split, cost_usd=0.0686472)).rest()
    lines = shown("explain", "req_1", "--ledger", path)
    assert "Exact, from its record and what the client's figure gives away, billed to user-1" in lines
    assert "Given away by the client's figure: cache writes for an hour: 8,000 of 11,352" in lines
    assert told("explain", "req_2", "--ledger", path)["given_away"] == ["web searches: 2"]


def test_what_is_not_exact_has_a_range(tmp_path: Path) -> None:
    """Opus 5.5: from 49,000 micro-USD as asked to fast, an hour and US: (2 x 14,000 + 7,000 x 16) x 1.1 = 154,000."""
    path = tmp_path / "ledger.db"
    with open_books(path) as books:
        books.take(Client().span("req_1", "claude-opus-5-5", Usage(1_000, 200, 30_000, 7_000))).rest()
    lines = shown("explain", "req_1", "--ledger", path)
    assert "Provisional, from the span, billed to user-1" in lines
    assert "Between $0.049 and $0.154, by what no signal tells" in lines
    lines = shown("session", "session-1", "--ledger", path)
    assert "cost $0.049 billed, 1 request" in lines
    assert "between $0.049 and $0.154, by what no signal tells" in lines


def test_a_session_shows_what_cost_shows(ledgers: Ledgers) -> None:
    lines = shown("session", S05A[1], "--ledger", ledgers(S05A[0]))
    # The client's own screen at the end of the session: "$0.0276", "498 input, 242 output, 48.2k cache read, 2.2k cache
    # write ($0.0274)" of Opus, "107 input, 53 output, 12.0k cache read, 513 cache write ($0.0002)" of Haiku, "1s"
    # in the API, "0 lines added, 0 lines removed".
    for line in (
        f"Session {S05A[1]}",
        "charged to cost_center cc-42, department eng, team platform",
        "cost $0.027594235 billed, 5 requests",
        "client says $0.027594235 in its sums, as /cost shows; $0.027594235 in its log events",
        "in the API 0.8 s",
        "lines 0 added, 0 removed",
        "started 1 fresh",
        "told by traces 100%, logs 100%, metrics 100% of 63,760 tokens",
        "claude-haiku-5-5 0.000221435 1 0 107 53 12,011 513",
        "claude-opus-5-5 0.0273728 4 0 498 242 48,154 2,182",
        "compact 0.0069208 1 0 0.3 12,786",
    ):
        assert line in lines, line


def test_a_session_as_one_object(ledgers: Ledgers) -> None:
    found = told("session", S05A[1], "--ledger", ledgers(S05A[0]))
    assert (found["cost_usd"], found["requests"], found["unpriced"]) == ("0.027594235", 5, 0)
    assert found["client_cost_usd"] == {"log": "0.027594235", "metric": "0.027594235"}
    assert found["by_purpose"].keys() == {"main", "compact", "generate_session_title"}
    assert found["by_query_class"]["auxiliary"]["cost_usd"] == "0.007142235"  # title and compaction
    assert found["by_purpose"]["compact"]["cost_usd"] == "0.0069208"
    assert found["residual_usd"] == "0"
    assert found["signals"]["logs"] == {"tokens": 63_760, "share": 1.0}
    # Reads at 0.01 and 0.2 for 0.1 and 4, writes at 0.125 and 5 (USD per million):
    # 12,011 x 0.09 + 513 x -0.025 + 48,154 x 3.8 + 2,182 x -1 = 181,871.365 micro-USD
    assert found["cache_saved_usd"] == "0.181871365"
    parts = [part for name, part in found.items() if name.startswith("by_") and part]
    whole = Decimal(found["cost_usd"])
    for part in parts:
        assert sum(Decimal(of["cost_usd"]) for of in part.values()) == whole


def test_lines_commits_and_edits_of_a_session(ledgers: Ledgers) -> None:
    lines = shown("session", S02[1], "--ledger", ledgers(S02[0]))
    assert "lines 6 added, 1 removed" in lines
    assert "commits 1" in lines
    assert "edits accept config Edit 1, accept config Write 1" in lines
    assert "active cli 1.6 s" in lines
    found = told("session", S02[1], "--ledger", ledgers(S02[0]))
    assert found["lines"] == {"added": 6, "removed": 1}
    assert found["activity"]["spanledger.commits"] == 1
    assert found["activity"]["spanledger.active_time"] == {"cli": 1.6}


def test_agents_background_work_and_residual_of_a_session(ledgers: Ledgers) -> None:
    agents = told("session", S03[1], "--ledger", ledgers(S03[0]))["by_agent"]
    assert {name: part["cost_usd"] for name, part in agents.items()} == {
        "general-purpose": "0.037708",
        "reviewer": "0.00024898",
    }
    assert "general-purpose 0.037708 5 0 1.0 64,610" in shown("session", S03[1], "--ledger", ledgers(S03[0]))
    # The permission classifier: 0.0045861 + 0.0048222, which no log event tells of.
    found = told("session", S06C[1], "--ledger", ledgers(S06C[0]))
    assert found["by_purpose"]["auto_mode"]["cost_usd"] == "0.0094083"
    assert found["by_evidence"]["span"]["requests"] == 2
    assert found["signals"]["logs"]["share"] == round(63_896 / 89_502, 4)
    # Two attempts that were cut: 0.0054152 + 0.0055904
    cut = told("session", S04D[1], "--ledger", ledgers(S04D[0]))
    assert (cut["residual_usd"], cut["by_purpose"]["residual"]["cost_usd"]) == ("0.0110056", "0.0110056")
    assert (cut["aborted_attempts"], list(cut["by_verdict"])) == (1, ["aborted_attempts"])
    lines = shown("session", S04D[1], "--ledger", ledgers(S04D[0]))
    assert "cost $0.0177712 billed, 1 request; of it $0.0110056 residual" in lines
    assert "calls with attempts that were cut: 1; what these cost is residual" in lines


def test_skills_and_mcp_servers_of_a_session(tmp_path: Path) -> None:
    client, usage, path = Client(), Usage(1_000, 200, 10_000), tmp_path / "ledger.db"
    with open_books(path) as books:
        books.take(client.log("req_1", "claude-opus-5-5", usage, **{"skill.name": "review", "mcp_server.name": "jira"}))
        books.take(client.log("req_2", "claude-opus-5-5", usage, **{"skill.name": "review"})).rest()
    found = told("session", "session-1", "--ledger", path)
    assert found["by_skill"]["review"]["cost_usd"] == "0.02"
    assert found["by_mcp_server"]["jira"]["cost_usd"] == "0.01"
    lines = shown("session", "session-1", "--ledger", path)
    assert "By skill" in lines
    assert "jira 0.01 1 0 1.0 11,200" in lines
    assert "By agent" not in lines  # there was none


def test_a_session_of_two_bases_is_not_summed_in_silence(tmp_path: Path) -> None:
    usage, path = Usage(1_000, 200, 10_000), tmp_path / "ledger.db"
    with open_books(path) as books:
        books.take(Client().log("req_1", "claude-opus-5-5", usage))
        books.take(Client(sender={"anthropic.plan": "max"}).log("req_2", "claude-opus-5-5", usage)).rest()
    lines = shown("session", "session-1", "--ledger", path)
    assert "cost $0.01 billed, $0.01 notional, 2 requests" in lines
    assert "main 0.01 0.01 2 0 2.0 22,400" in lines  # a column for each basis
    assert told("session", "session-1", "--ledger", path)["cost_by_basis_usd"] == {"billed": "0.01", "notional": "0.01"}


def test_the_id_that_a_continuing_process_starts_under_is_told_for_what_it_is(ledgers: Ledgers) -> None:
    continued, started = "4b34746c-0acb-4da4-ad5f-81520f17d19b", "3ae09d02-8132-46a3-9ca6-9f74fcc41685"
    path = ledgers("s14_cache_1h")
    lines = shown("session", started, "--ledger", path)
    assert lines[:2] == [f"Session {started}", "started 1 continue"]
    assert lines[2].startswith("Nothing was charged under this id. A client that continues a session counts its start")
    found = told("session", started, "--ledger", path)
    assert (found["requests"], found["cost_usd"], found["start"], found["users"]) == (0, "0", None, [])
    assert found["activity"] == {"spanledger.sessions": {"continue": 1}}
    # Both processes' calls are under the id of the session.
    whole = told("session", continued, "--ledger", path)
    assert (whole["requests"], whole["activity"]["spanledger.sessions"]) == (2, {"fresh": 1})
    # The client's sums are of each process, so that together they are the session's: nothing is counted twice.
    assert whole["client_cost_usd"]["metric"] == whole["cost_usd"]
    assert whole["residual_usd"] == "0"


def test_the_page_shows_what_the_verbs_say(ledgers: Ledgers) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "explain.md").read_text(encoding="utf-8")
    path = ledgers(S04D[0])
    for arguments in (("explain", CUT_CALL[1]), ("session", S04D[1])):
        lines = [line.rstrip() for line in run(*arguments, "--ledger", path).stdout.splitlines()]
        # The book's name goes with its contents.
        said = re.sub(r"(of anthropic-list@)\S+", r"\1", "\n".join(lines))
        assert said in re.sub(r"(of anthropic-list@)\S+", r"\1", page)
    for verdict, text in VERDICT_TEXT.items():
        assert f"| `{verdict}` | {text} |" in page
    assert all(f"| `{word}` |" in page for word in (*Status, *Evidence))
