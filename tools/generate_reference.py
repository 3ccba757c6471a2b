"""Generate docs/reference from the code's own tables, or check that it is what they say."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from spanledger.cli.main import app
from spanledger.config.contracts import ContractFile
from spanledger.config.price_list import PriceFile
from spanledger.config.settings import setting_keys, variable_of
from spanledger.core.content_keys import CONTENT_KEYS
from spanledger.core.events import EVENTS
from spanledger.core.gauges import GAUGES
from spanledger.core.genai_names import GenAi
from spanledger.core.prometheus_names import prometheus_name
from spanledger.core.reasons import Reason
from spanledger.core.semconv import (
    ADJUSTMENT_OF,
    ATTRIBUTES,
    DEFAULT_RESOURCE_LABELS,
    METRICS,
    TOTALS,
    UNALLOCATED,
    In,
    MetricSpec,
)
from spanledger.otlp.refusals import ANSWERED, CONNECTION_ENDS, RECORD_REFUSALS, REQUEST_REFUSALS, Refusal
from spanledger.telemetry import COMMIT_DURATION, COMMIT_DURATION_MEANING, COUNTERS

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
NOTE = "Generated from the code by `make docs`; checked by `make docs-check`.\n"


def pages() -> dict[str, str]:
    """Every page by file name."""
    return {
        "attributes.md": _page("Attributes", _attributes()),
        "metrics.md": _page("Metrics", _metrics()),
        "configuration.md": _page("Configuration", _configuration()),
        "refusals.md": _page("Refusals", _refusals()),
        "logs.md": _page("Log", _logs()),
        "cli.md": _page("Command line", _command_line()),
        "compatibility.md": _page("Compatibility", _compatibility()),
        "price-list.schema.json": _schema(PriceFile, "A price list of spanledger"),
        "contract.schema.json": _schema(ContractFile, "A contract of spanledger"),
    }


def stale_pages(folder: Path) -> list[str]:
    """Names of pages that are missing or say something else."""
    return [
        name
        for name, text in pages().items()
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text
    ]


def _page(title: str, lines: Iterator[str]) -> str:
    return f"# {title}\n\n{NOTE}\n" + "\n".join(lines) + "\n"


def _schema(model: type[BaseModel], title: str) -> str:
    """JSON Schema of a file, for editors and checks; mistakes between its parts are found by `prices verify`."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | model.model_json_schema() | {"title": title}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _attributes() -> Iterator[str]:
    yield "## Written on the records of a model call\n"
    yield "On `claude_code.llm_request` and `claude_code.interaction` spans and `claude_code.api_request` log records;"
    yield "everything else goes through byte for byte. A key of this list that is already there is replaced.\n"
    yield "| attribute | type | on | meaning |"
    yield "|---|---|---|---|"
    for spec in ATTRIBUTES:
        yield f"| `{spec.key}` | {spec.type} | {spec.on} | {spec.description} |"
    yield "\n## Read from the client's records and resources\n"
    for key in In:
        yield f"- `{key}`"
    yield "\n## Read from other programs' records by the plug-in\n"
    for gen_ai in GenAi:
        yield f"- `{gen_ai}`"
    yield "\n## Text of prompts, replies and tools\n"
    yield "What `privacy.content` hashes or drops, wherever it is, in lists and maps too; `*` stands for anything. The"
    yield "body of a log record goes by `body`, the message of a span's status by `status.message`.\n"
    yield ", ".join(f"`{key}`" for key in sorted(CONTENT_KEYS))


def _metrics() -> Iterator[str]:
    labels = ", ".join(f"`{key}` as `{label}`" for key, label in DEFAULT_RESOURCE_LABELS.items())
    yield "Cumulative sums. Money is a double of USD, the one nearest to a whole number of pico-USD. A new series says"
    yield "0 in one export and its value no earlier than the next, so that `increase()` sees all of it. Series keep"
    yield "their start time over restarts.\n"
    yield "With `metrics.temporality: delta` (or `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`) the sums that"
    yield "only rise leave as deltas: after its 0 a series says what is new, in windows without a gap, also over"
    yield "restarts. Twins stay cumulative, as OpenTelemetry's preference of that name has it. Each amount is sent at"
    yield "most once: what a destination surely did not take goes with the next export; what it may have taken (an"
    yield "answer that was cut off, a time-out, a kill) is not sent again but counted in"
    yield "`spanledger.unconfirmed.cost`. Prefer http/protobuf for deltas: over gRPC a broken connection and a"
    yield "refusal look alike, and both are in doubt. A ledger that told cumulative sums before goes on with what is"
    yield "new.\n"
    yield "A metric that can be corrected has a twin for corrections that is not monotonic: add it to every total.\n"
    yield f'Resource attributes that become labels ("resource"), by default: {labels};'
    yield f"`{UNALLOCATED}` when the sender does not say."
    yield "What exceeds `metrics.max_series` goes to a series with `otel.metric.overflow`.\n"
    yield "| metric | twin | unit | labels | meaning |"
    yield "|---|---|---|---|---|"
    for name in TOTALS:
        spec = METRICS[name]
        twin = f"`{ADJUSTMENT_OF[name]}`" if name in ADJUSTMENT_OF else "-"
        own = ", ".join(f"`{label}`" for label in spec.labels)
        labels = " + ".join(part for part in (own, "resource" if spec.resource_labels else "") if part)
        yield f"| `{name}` | {twin} | `{spec.unit}` | {labels} | {spec.description} |"
    yield "\nTwins have the label `reason` too.\n"
    yield "## Gauges\n"
    yield "| gauge | unit | labels | meaning |"
    yield "|---|---|---|---|"
    for gauge in GAUGES.values():
        own = ", ".join(f"`{label}`" for label in gauge.labels) or "-"
        resource = " + resource" if gauge.resource_labels else ""
        yield f"| `{gauge.name}` | `{gauge.unit}` | {own}{resource} | {gauge.description} |"
    yield "\n## Names in Prometheus\n"
    yield "By OTLP, by a Collector's Prometheus exporter and at `/metrics` alike (`tests/collector/test_backends.py`)."
    yield "By OTLP `job` is `spanledger`, `instance` the ledger's id, the same after every restart; a scrape of"
    yield "`/metrics` has those of its configuration, and the id on `target_info`.\n"
    yield "| metric, gauge or counter | in Prometheus | its twin |"
    yield "|---|---|---|"
    for name in TOTALS:
        adjusted = f"`{_prometheus_name(METRICS[ADJUSTMENT_OF[name]])}`" if name in ADJUSTMENT_OF else "-"
        yield f"| `{name}` | `{_prometheus_name(METRICS[name])}` | {adjusted} |"
    for gauge in GAUGES.values():
        yield f"| `{gauge.name}` | `{prometheus_name(gauge.name, gauge.unit, is_counter=False)}` | - |"
    for counted in COUNTERS.values():
        if counted.is_exported:
            yield f"| `{counted.name}` | `{prometheus_name(counted.name, counted.unit, is_counter=True)}` | - |"
    yield "\n## Counted by the service itself\n"
    yield "Every drop, refusal and repetition has a counter:\n"
    yield "They begin at 0 with the process; by OTLP with the others, and at `/metrics` (`admin.endpoint`).\n"
    yield "| counter | unit | label | meaning |"
    yield "|---|---|---|---|"
    for spec in COUNTERS.values():
        if spec.is_exported:
            label = "-" if spec.label is None else f"`{spec.label}` ([refusals](refusals.md))"
            yield f"| `{spec.name}` | `{spec.unit}` | {label} | {spec.description} |"
    yield f"| `{COMMIT_DURATION}` | `s` | - | {COMMIT_DURATION_MEANING} A histogram. |"


def _refusals() -> Iterator[str]:
    yield "What a receiver refuses, how it answers, and the setting that moves the limit. `reason` is the label of the"
    yield "counters `receiver.refused`, `dropped` and `receiver.connections_closed`. Every answer over HTTP is a"
    yield "`google.rpc.Status` in the request's encoding; 503 and UNAVAILABLE say when to try again.\n"
    yield "## A request\n"
    yield from _refusal_table(REQUEST_REFUSALS)
    yield "\n## One record\n"
    yield "It alone is taken out and told of as partial success; the answer below is given when no record is left, or"
    yield "when the fault is in a resource, scope or metric.\n"
    yield from _refusal_table(RECORD_REFUSALS)
    yield "\n## What one record says of usage\n"
    yield "The record goes on, its usage is not charged, and partial success tells of it: "
    yield ", ".join(f"`{reason}`" for reason in Reason if reason not in ANSWERED) + "."
    yield "\n## A connection\n"
    yield "It is closed without an answer.\n"
    yield "| reason | setting | what |"
    yield "|---|---|---|"
    for reason, end in CONNECTION_ENDS.items():
        yield f"| `{reason}` | `{end.setting}` | {end.meaning} |"


def _refusal_table(refusals: Mapping[Reason, Refusal]) -> Iterator[str]:
    yield "| reason | HTTP | gRPC | setting | what |"
    yield "|---|---|---|---|---|"
    for reason, how in refusals.items():
        settings = ", ".join(f"`{key}`" for key in how.setting.split(", ") if key) or "-"
        yield f"| `{reason}` | {how.http_status.value} | {how.rpc_code.name} | {settings} | {how.meaning} |"


def _logs() -> Iterator[str]:
    yield "What the service says on standard error, and what to do about it. `log.format: json` writes one object a"
    yield "line, with `time` (UTC), `level`, `event`, `message` and `fields`: those in braces below, by name. Lines of"
    yield "libraries have the library's name as their event. `exception` holds a traceback, where there is one.\n"
    yield "Lines of an event that agree in what tells them apart are repeats: the first is written at once, the others"
    yield "of `log.repeat_interval_seconds` as one line, the last of them, with `repeated`: how many there were.\n"
    yield "| event | level | message | repeats agree in | what to do |"
    yield "|---|---|---|---|---|"
    for spec in EVENTS.values():
        message = " ".join(spec.message.split())
        apart = ", ".join(f"`{name}`" for name in spec.told_apart_by) or "-"
        yield f"| `{spec.event}` | {spec.level} | {message} | {apart} | {spec.remedy} |"


def _prometheus_name(spec: MetricSpec) -> str:
    return prometheus_name(spec.name, spec.unit, is_counter=spec.monotonic)


def _configuration() -> Iterator[str]:
    yield "One YAML file (`--config F`), environment variables over it, flags over both. `${env:NAME}` in a text of the"
    yield "file stands for an environment variable. The standard `OTEL_EXPORTER_OTLP_*` variables (`ENDPOINT`,"
    yield "`PROTOCOL`, `HEADERS`, `TIMEOUT` in seconds, `COMPRESSION`, `CERTIFICATE`, and `TRACES_ENDPOINT`,"
    yield "`LOGS_ENDPOINT`, `METRICS_ENDPOINT`) set `exporter` too, and `METRICS_TEMPORALITY_PREFERENCE` sets"
    yield "`metrics.temporality`; `SPANLEDGER_*` wins over them. All mistakes are"
    yield "told at once, each with its place, and end the command with exit code 2.\n"
    yield "| key | variable | type | default | meaning |"
    yield "|---|---|---|---|---|"
    for key, (kind, default, meaning) in setting_keys().items():
        yield f"| `{key}` | `{variable_of(key)}` | {kind} | {_shown(default)} | {meaning} |"


def _compatibility() -> Iterator[str]:
    results = json.loads((FOLDER / "compatibility.json").read_text(encoding="utf-8"))
    protocols = list(dict.fromkeys(result["protocol"] for result in results))
    backends = list(results[0]["backends"])
    yield "From results of `tests/collector/test_backends.py` (`compatibility.json` beside this page): captured"
    yield "sessions of each client version, sent over each protocol with these signals on, into a running service"
    yield "with all backends behind it at once. `make test-collector` fails when a result is another.\n"
    yield "**Ledger - served**: what the ledger says less what the API served at list price, in USD; 0 is exact, to"
    yield "the pico-dollar. **Equal**: the protocols over which the backend's series + adjustments were the"
    yield "ledger's total.\n"
    heads = [f"ledger - served, {protocol}" for protocol in protocols] + [f"equal: {backend}" for backend in backends]
    yield f"| client | signals on | {' | '.join(heads)} |"
    yield "|---" * (2 + len(heads)) + "|"
    cases = dict.fromkeys((result["client"], result["signals"]) for result in results)
    for client, signals in cases:
        rows = [one for one in results if (one["client"], one["signals"]) == (client, signals)]
        equal = [[one["protocol"] for one in rows if one["backends"][backend]] for backend in backends]
        cells = [one["difference_usd"] for one in rows]
        cells += ["all" if len(over) == len(protocols) else ", ".join(over) or "none" for over in equal]
        yield f"| {client} | {', '.join(signals.split())} | {' | '.join(cells)} |"
    yield "\nWhat a signal lacks when it is alone is its nature: log events do not know the calls of the permission"
    yield "classifier (auto mode) and of interrupted replies, spans not the time to live of cache writes. Send all"
    yield "three."


def _shown(default: object) -> str:
    match default:
        case None:
            return "-"
        case bool():
            return f"`{str(default).lower()}`"
        case dict() if default:
            return ", ".join(f"`{key}: {value}`" for key, value in default.items())
        case list() | dict():
            return "none"
        case _ if "folder" in str(default):
            return str(default)
        case _:
            return f"`{default}`"


def _command_line() -> Iterator[str]:
    yield "Exit codes of every verb: 0 fine, 1 a finding (figures disagree, a record was refused), 2 bad input."
    yield "`--json` prints one JSON object on standard output.\n"
    yield from _command(typer.main.get_command(app), "spanledger")


def _command(command: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - a Click command
    verbs = getattr(command, "commands", None)
    if verbs is not None:
        for name, verb in verbs.items():
            yield from _command(verb, f"{path} {name}")
        return
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    usage = " ".join([path, *(argument.metavar for argument in arguments), "[OPTIONS]"])
    yield f"## `{usage}`\n"
    yield f"{command.help}\n"
    yield "| option | meaning |"
    yield "|---|---|"
    for parameter in command.params:
        metavar = "" if getattr(parameter, "is_flag", False) else f" {parameter.metavar}"
        names = parameter.metavar if parameter in arguments else ", ".join(parameter.opts) + metavar
        yield f"| `{names.replace('|', ' or ')}` | {parameter.help} |"
    yield ""


def main() -> int:
    """Write the pages, or with --check name those that are stale and give 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is stale")
    if parser.parse_args().check:
        stale = stale_pages(FOLDER)
        sys.stdout.writelines(f"docs/reference/{name} is stale: run `make docs`\n" for name in stale)
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
