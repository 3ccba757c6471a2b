"""Usage in the words of the OpenTelemetry GenAI conventions, said again in the client's words, for metering.

Whether `gen_ai.usage.input_tokens` includes cached tokens depends on the version of the convention (1.40, where the
cache attributes appear, demands it) and before that on the provider, whose own figure was passed on. Sources: pull
requests 3163 of open-telemetry/semantic-conventions and 2175 of traceloop/openllmetry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from spanledger.core.batch import Attributes, Scalar
from spanledger.core.genai_names import GenAi
from spanledger.core.semconv import In

EVENT_INFERENCE = "gen_ai.client.inference.operation.details"
"""Log event that describes one call with the attributes of its span."""


class InputTokens(StrEnum):
    """What `gen_ai.usage.input_tokens` counts; `auto` decides record by record."""

    AUTO = "auto"
    INCLUDES_CACHED = "includes_cached"
    EXCLUDES_CACHED = "excludes_cached"


@dataclass(frozen=True, slots=True)
class GenAiUsage:
    """A call in the client's words. `input_known` is false when the lower of two readings of its input was taken.

    `served` tells whether the model that answered is named; else it is the one that was asked.
    """

    attributes: Attributes
    input_known: bool
    served: bool


_CALLS = frozenset({"chat", "text_completion", "generate_content"})
_TOKENS = (GenAi.INPUT_TOKENS, GenAi.OUTPUT_TOKENS, GenAi.PROMPT_TOKENS, GenAi.COMPLETION_TOKENS)
_CACHE_ATTRIBUTES_OF_1_40 = (
    GenAi.CACHE_READ_INPUT_TOKENS,
    GenAi.CACHE_CREATION_INPUT_TOKENS,
    GenAi.CACHE_WRITE_INPUT_TOKENS,
)
_SCHEMA_VERSION = re.compile(r"^https?://opentelemetry\.io/schemas/(\d+)\.(\d+)\.\d+$")
_INCLUDES_CACHED_SINCE = (1, 40)
_COUNT_CACHED_AS_INPUT = frozenset({"openai", "azure.ai.openai", "gcp.gemini", "gcp.gen_ai"})
_NORMALISED_BY = frozenset({"opentelemetry.instrumentation.anthropic"})  # openllmetry; it adds the cached tokens itself
_PROVIDERS = {
    "aws_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "az.ai.inference": "azure.ai.inference",
}
_CLIENTS_OWN = frozenset(In) - {
    In.SESSION_ID,
    In.USER_ID,
    In.USER_EMAIL,
    In.USER_ACCOUNT_UUID,
    In.ORGANIZATION_ID,
    In.PLAN,
    In.SEAT_TYPE,
}


def gen_ai_usage(
    attributes: Attributes, *, scope_name: str, schema_url: str, call_id: str, input_tokens: InputTokens
) -> GenAiUsage | None:
    """Read the usage of one call; None when the record is not a call or has no usage.

    Agents and workflows sum up calls that have records of their own: only an inference operation is a call, or a record
    of before 1.27, which names no operation. `call_id` stands in for an absent response id.
    """
    operation = attributes.get(GenAi.OPERATION)
    if operation is not None and operation not in _CALLS:
        return None
    if not any(key in attributes for key in _TOKENS):
        return None
    provider = _provider(attributes)
    reads = _first(attributes, GenAi.CACHE_READ_INPUT_TOKENS, GenAi.CACHE_READ_INPUT_TOKENS_OLD)
    writes = _first(
        attributes,
        GenAi.CACHE_WRITE_INPUT_TOKENS,
        GenAi.CACHE_CREATION_INPUT_TOKENS,
        GenAi.CACHE_CREATION_INPUT_TOKENS_OLD,
    )
    stated = _first(attributes, GenAi.INPUT_TOKENS, GenAi.PROMPT_TOKENS)
    counted, cached = _as_count(stated), _as_count(reads) + _as_count(writes)
    reading, known = input_tokens, True
    if cached == 0 or counted < cached:
        reading = InputTokens.EXCLUDES_CACHED  # both readings say the same, or only this one can be
    elif reading is InputTokens.AUTO:
        reading, known = _decide(attributes, scope_name, schema_url, provider)
    is_gross = reading is InputTokens.INCLUDES_CACHED
    said = {key: value for key, value in attributes.items() if key not in _CLIENTS_OWN}
    return GenAiUsage(
        said
        | _context(attributes, provider)
        | {
            In.MODEL: attributes.get(GenAi.RESPONSE_MODEL) or attributes.get(GenAi.REQUEST_MODEL, ""),
            In.REQUEST_ID: attributes.get(GenAi.RESPONSE_ID) or call_id,
            In.INPUT_TOKENS: counted - cached if is_gross else stated,
            In.OUTPUT_TOKENS: _first(attributes, GenAi.OUTPUT_TOKENS, GenAi.COMPLETION_TOKENS),
            In.CACHE_READ_TOKENS: reads,
            In.CACHE_CREATION_TOKENS: writes,
        },
        input_known=known,
        served=bool(attributes.get(GenAi.RESPONSE_MODEL)),
    )


def _decide(attributes: Attributes, scope_name: str, schema_url: str, provider: str) -> tuple[InputTokens, bool]:
    """Say what the input counts, and whether that is known; when it is not, the reading with the lower cost."""
    version = _version(schema_url)
    is_of_1_40 = any(key in attributes for key in _CACHE_ATTRIBUTES_OF_1_40)
    if is_of_1_40 or (version is not None and version >= _INCLUDES_CACHED_SINCE):
        return InputTokens.INCLUDES_CACHED, True
    if scope_name in _NORMALISED_BY or provider in _COUNT_CACHED_AS_INPUT:
        return InputTokens.INCLUDES_CACHED, True
    if version is not None:
        return InputTokens.EXCLUDES_CACHED, True
    return InputTokens.INCLUDES_CACHED, False


def _version(schema_url: str) -> tuple[int, int] | None:
    match = _SCHEMA_VERSION.search(schema_url)
    return (int(match[1]), int(match[2])) if match else None


def _provider(attributes: Attributes) -> str:
    named = str(_first(attributes, GenAi.PROVIDER_NAME, GenAi.SYSTEM, absent="")).lower()
    return _PROVIDERS.get(named, named)


def _context(attributes: Attributes, provider: str) -> dict[str, Scalar]:
    facts = {
        In.PROVIDER_NAME: provider,
        In.SESSION_ID: _first(attributes, In.SESSION_ID, GenAi.CONVERSATION_ID, absent=""),
        In.USER_ID: _first(attributes, In.USER_ID, GenAi.ENDUSER_ID, absent=""),
        In.AGENT_ID: _first(attributes, GenAi.AGENT_ID, absent=""),
        In.AGENT_NAME: _first(attributes, GenAi.AGENT_NAME, absent=""),
    }
    return {key: value for key, value in facts.items() if value != ""}


def _first(attributes: Attributes, *keys: str, absent: Scalar = 0) -> Scalar:
    return next((attributes[key] for key in keys if key in attributes), absent)


def _as_count(value: Scalar) -> int:
    """Read a count for deciding; what is none counts 0 and stays for metering to refuse."""
    match value:
        case bool():
            return 0
        case int():
            return value
        case float() if value.is_integer():
            return int(value)
        case str() if value.isascii() and value.isdigit():
            return int(value)
        case _:
            return 0
