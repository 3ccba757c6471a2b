"""Kinds of fields that the sections of the settings share."""

from __future__ import annotations

import difflib
import re
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_PORT_MAX = 65_535
_HEADER_VALUE = re.compile(r"[ -~\t]*")


class Section(BaseModel):
    """A section: unknown keys are mistakes, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _endpoint(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > _PORT_MAX:
        raise ValueError(f"{value!r} is not HOST:PORT, as in localhost:4317 or [::1]:4317")
    return value


def _url(value: str) -> str:
    """A URL. Credentials in it are refused, and not repeated: URLs are shown in logs and messages."""
    if "@" in value.partition("?")[0]:
        raise ValueError(
            "a URL must not hold credentials, for it is shown in logs: put them in headers or headers_file"
        )
    parts = urlsplit(value if "://" in value else f"http://{value}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{value!r} is not a URL, as in http://localhost:4317")
    return value if "://" in value else f"http://{value}"


def read_zone(name: str) -> ZoneInfo:
    """Find a time zone by its name in the IANA database.

    Raises:
        ValueError: there is none; names the nearest.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        nearest = difflib.get_close_matches(name, available_timezones(), n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else "give one as in UTC or Europe/Berlin"
        raise ValueError(f"{name!r} is no time zone; {hint}") from None


def _zone(value: str) -> str:
    return read_zone(value).key


def header_value(value: str) -> str:
    """A header's value, if it can be sent over HTTP and gRPC alike.

    Raises:
        ValueError: it cannot; the value, which may be a secret, is not repeated.
    """
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError("a header's value has printable ASCII characters alone")
    return value


Endpoint = Annotated[str, AfterValidator(_endpoint)]
TimeZone = Annotated[str, AfterValidator(_zone)]
Url = Annotated[str, AfterValidator(_url)]
HeaderValues = dict[str, Annotated[str, AfterValidator(header_value)]]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
