"""What Prometheus would have recorded of a past, had it had the rules of the boards then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
import yaml

from support.remote_write import labels_part, samples_part, write

RULES = Path(__file__).parents[2] / "dashboards" / "rules"


def rules(name: str) -> list[dict[str, Any]]:
    """The rules of a file in `dashboards/rules`."""
    return rules_in((RULES / name).read_text(encoding="utf-8"))


def rules_in(text: str) -> list[dict[str, Any]]:
    """The rules of all groups."""
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def record(
    url: str, start_unix: int, end_unix: int, step_seconds: int, several: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Evaluate rules so often, those of the committed boards or others, and write the results by remote write."""
    session = requests.Session()
    for rule in several or rules("boards.yaml"):
        asked = {"query": rule["expr"], "start": start_unix, "end": end_unix, "step": step_seconds}
        answer = session.post(f"{url}/api/v1/query_range", data=asked, timeout=60)
        answer.raise_for_status()
        series = [
            labels_part({"__name__": rule["record"], **one["metric"]})
            + samples_part((round(float(at) * 1000), float(value)) for at, value in one["values"])
            for one in answer.json()["data"]["result"]
        ]
        if series:
            write(session, url, series)
