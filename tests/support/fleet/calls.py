"""What developers ask of models, turn by turn, and what it costs at list price, worked out apart from the product."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import NamedTuple

SECOND = 10**9
MILLISECOND = 10**6
PICO_PER_WEB_SEARCH = 10**10


class Count(NamedTuple):
    """Tokens of a call as the API counts them; `searches` are web searches."""

    input: int
    output: int
    read: int = 0
    write_5m: int = 0
    write_1h: int = 0
    searches: int = 0

    @property
    def write(self) -> int:
        return self.write_5m + self.write_1h

    @property
    def prompt(self) -> int:
        return self.input + self.read + self.write


# Pico-USD per token, that is USD per million tokens x 10**6: input, output, cache read, 5-minute write, 1-hour write.
_RATES = {
    "claude-opus-5-5": (4_000_000, 20_000_000, 200_000, 5_000_000, 8_000_000),
    "claude-opus-4-6": (5_000_000, 25_000_000, 500_000, 6_250_000, 10_000_000),
    "claude-sonnet-5-5": (2_000_000, 10_000_000, 100_000, 2_500_000, 4_000_000),
    "claude-sonnet-5": (2_000_000, 10_000_000, 200_000, 2_500_000, 4_000_000),
    "claude-sonnet-4-5-20250929": (3_000_000, 15_000_000, 300_000, 3_750_000, 6_000_000),
    "claude-haiku-5-5": (100_000, 500_000, 10_000, 125_000, 200_000),
    "claude-haiku-4-5-20251001": (1_000_000, 5_000_000, 100_000, 1_250_000, 2_000_000),
}
_LONG_PROMPT_MODEL, _LONG_PROMPT_ABOVE, _LONG_PROMPT_FACTOR = "claude-haiku-5-5", 100_000, 5
_FAST_FACTOR = {"claude-opus-5-5": 2}
_BEDROCK = {f"us.anthropic.{model}": model for model in ("claude-opus-5-5", "claude-haiku-5-5", "claude-sonnet-5")}
_UNDATED = {"claude-sonnet-4-5": "claude-sonnet-4-5-20250929"}
_DEFAULT_MODEL = "claude-opus-5-5"
"""What the client takes the price of for a name that it does not know."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A call that was served. `ended` is when the client adds it to its sums, `stamped` the time of its log event.

    `aborted` is what attempts before it cost, which the client's log event has in its cost figure.
    """

    number: int
    ended: int
    stamped: int
    served: str
    asked: str
    source: str
    query_class: str
    count: Count
    agent: str = ""
    asked_fast: bool = False
    served_fast: bool = False
    has_log: bool = True
    has_span: bool = True
    aborted: tuple[Count, ...] = ()

    @property
    def picousd(self) -> int:
        """What it costs: at Bedrock's geographic profiles a tenth more."""
        cost = _tokens_picousd(_BEDROCK.get(self.served, self.served), self.count, fast=self.served_fast)
        # Every rate of the models above is a multiple of ten pico-USD.
        premium = cost // 10 if self.served in _BEDROCK else 0
        return cost + premium + self.count.searches * PICO_PER_WEB_SEARCH

    @property
    def client_picousd(self) -> int:
        """What the client says that it costs, aborted attempts left out."""
        model = _BEDROCK.get(self.asked, self.asked.removesuffix("[1m]"))
        model = _UNDATED.get(model, model)
        model = model if model in _RATES else _DEFAULT_MODEL
        cost = _tokens_picousd(model, self.count, fast=self.served_fast)
        return cost + self.count.searches * PICO_PER_WEB_SEARCH


def _tokens_picousd(model: str, count: Count, *, fast: bool) -> int:
    cost = sum(tokens * rate for tokens, rate in zip(count[:5], _RATES[model], strict=True))
    if fast:
        return cost * _FAST_FACTOR[model]
    long = model == _LONG_PROMPT_MODEL and count.prompt > _LONG_PROMPT_ABOVE
    return cost * _LONG_PROMPT_FACTOR if long else cost


@dataclass(frozen=True, slots=True)
class Mix:
    """How often calls are of a kind; shares of calls, or of turns where it says so."""

    seconds_between_turns: float = 120.0
    calls_of_turn: int = 6
    straddle_milliseconds: tuple[int, int] = (-100, 400)
    classifier: float = 0.1
    cut_streams: float = 0.003
    subagent_turns: float = 0.1
    interrupted: float = 0.0
    unknown_sources: float = 0.0
    web_searches: float = 0.0
    long_prompts: float = 0.0
    identical: float = 0.02


@dataclass(slots=True)
class Habit:
    """What one developer's client asks for. `main` is the model as asked and as served."""

    rng: random.Random
    mix: Mix
    main: tuple[str, str]
    helper: tuple[str, str] = ("claude-haiku-5-5", "claude-haiku-5-5")
    classifier: tuple[str, str] = ("claude-sonnet-5[1m]", "claude-sonnet-5")
    fast: bool = False
    numbers: int = 0
    last: dict[str, Count] = field(default_factory=dict)

    def turn(self, start: int) -> tuple[list[Call], int]:
        """Calls of one turn of the user, in order of their ends, and when the next turn begins."""
        rng, mix = self.rng, self.mix
        now, calls = start, []
        for _ in range(rng.randint(1, 2 * mix.calls_of_turn - 1)):
            now += int(rng.uniform(1.5, 14) * SECOND)
            calls.extend(self._step(now))
        if rng.random() < mix.subagent_turns:
            calls.extend(self._subagents(now))
        calls.sort(key=lambda call: call.ended)
        return calls, now + int(rng.expovariate(1 / mix.seconds_between_turns) * SECOND)

    def title(self, now: int) -> Call:
        """The call that names a session."""
        return self._call(now, self.helper, "generate_session_title", "auxiliary", self._small())

    def _step(self, now: int) -> list[Call]:
        """A call of the main loop, with what goes before it."""
        rng, mix = self.rng, self.mix
        calls: list[Call] = []
        if rng.random() < mix.classifier:
            before = now - int(rng.uniform(0.2, 1.2) * SECOND)
            count = Count(rng.randint(100, 600), rng.randint(20, 80), rng.randint(4_000, 25_000), rng.randint(0, 600))
            calls.append(replace(self._call(before, self.classifier, "auto_mode", "auxiliary", count), has_log=False))
        if rng.random() < mix.unknown_sources:
            calls.append(self._call(now - SECOND // 2, self.helper, "foresight_v2", "auxiliary", self._small()))
        if rng.random() < mix.web_searches:
            count = self._small()._replace(searches=rng.randint(1, 5))
            calls.append(self._call(now - SECOND, self.helper, "web_search_tool", "auxiliary", count))
        calls.extend(self._main(now))
        return calls

    def _main(self, now: int) -> list[Call]:
        rng, mix = self.rng, self.mix
        call = self._call(now, self.main, "repl_main_thread", "main", self._large())
        if self.fast:
            # Under load the API serves some of them at standard speed.
            call = replace(call, asked_fast=True, served_fast=rng.random() < 0.95)
        if rng.random() < mix.interrupted:
            count = call.count._replace(output=call.count.output // rng.randint(2, 9))
            return [replace(call, count=count, has_log=False, has_span=False)]
        if rng.random() < mix.cut_streams:
            count = call.count._replace(output=rng.randint(1, 40))
            cut = replace(call, number=self._number(), ended=now - SECOND // 3, count=count, has_log=False)
            return [replace(cut, has_span=False), replace(call, aborted=(count,))]
        return [call]

    def _subagents(self, now: int) -> list[Call]:
        """Several at once, each with calls of its own: some built in, on the main model, some custom, on the helper."""
        rng, calls = self.rng, []
        for _ in range(rng.randint(1, 4)):
            names, agent = (self.main, "general-purpose") if rng.random() < 0.5 else (self.helper, "reviewer")
            source = "agent:builtin:general-purpose" if agent == "general-purpose" else "agent:custom"
            at = now - int(rng.uniform(2, 20) * SECOND)
            for _ in range(rng.randint(1, 5)):
                at += int(rng.uniform(1, 8) * SECOND)
                calls.append(replace(self._call(at, names, source, "subagent", self._middle()), agent=agent))
        return calls

    def _call(self, now: int, names: tuple[str, str], source: str, query_class: str, count: Count) -> Call:
        low, high = self.mix.straddle_milliseconds
        if self.rng.random() < self.mix.identical:
            count = self.last.get(source, count)
        self.last[source] = count
        # Clients stamp in milliseconds.
        stamped = now // MILLISECOND * MILLISECOND + self.rng.randint(low, high) * MILLISECOND
        asked, served = names
        return Call(self._number(), now, stamped, served, asked, source, query_class, count)

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers

    def _large(self) -> Count:
        return self._count(1, 300, 40, 2_500, 15_000, 150_000, 8_000)

    def _middle(self) -> Count:
        count = self._count(1, 800, 30, 1_500, 3_000, 60_000, 5_000)
        if self.rng.random() < self.mix.long_prompts:
            return count._replace(read=count.read + 90_000)
        return count

    def _small(self) -> Count:
        return self._count(50, 900, 10, 120, 0, 2_000, 0)

    def _count(self, low: int, high: int, least: int, most: int, read_low: int, read_high: int, writes: int) -> Count:
        rng = self.rng
        written = rng.choice((0, rng.randint(0, writes)))
        long = written if rng.random() < 0.2 else rng.choice((0, 0, written // 3))
        return Count(
            rng.randint(low, high), rng.randint(least, most), rng.randint(read_low, read_high), written - long, long
        )
