from __future__ import annotations

import pytest

from spanledger.core.genai import InputTokens, gen_ai_usage
from spanledger.core.semconv import In

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.output_tokens": 10,
}
STANDARD = {"gen_ai.usage.cache_read.input_tokens": 700, "gen_ai.usage.cache_creation.input_tokens": 200}
OLD = {"gen_ai.usage.cache_read_input_tokens": 700, "gen_ai.usage.cache_creation_input_tokens": 200}
V1_39, V1_40 = "https://opentelemetry.io/schemas/1.39.0", "https://opentelemetry.io/schemas/1.40.0"
OPENLLMETRY = "opentelemetry.instrumentation.anthropic"


def usage(attributes: dict, *, scope: str = "app", schema: str = "", setting: InputTokens = InputTokens.AUTO):
    return gen_ai_usage(
        CALL | attributes, scope_name=scope, schema_url=schema, call_id="trace:span", input_tokens=setting
    )


@pytest.mark.parametrize(
    ("stated", "attributes", "where", "fresh", "known"),
    [
        # 1,000 stated, 900 of them cached: the standard's cache attributes come with the rule to include them.
        (1000, STANDARD, {}, 100, True),
        (1000, STANDARD, {"schema": V1_39}, 100, True),
        (1000, OLD, {"schema": V1_40}, 100, True),
        # Before 1.40 a provider's own figure was passed on: Anthropic's leaves cached tokens out.
        (1000, OLD, {"schema": V1_39}, 1000, True),
        (1000, OLD | {"gen_ai.provider.name": "aws.bedrock"}, {"schema": V1_39}, 1000, True),
        # OpenAI's and Google's include them; openllmetry adds them for Anthropic itself.
        (1000, OLD | {"gen_ai.provider.name": "openai"}, {"schema": V1_39}, 100, True),
        (1000, OLD | {"gen_ai.provider.name": "gcp.gemini"}, {}, 100, True),
        (1000, OLD, {"scope": OPENLLMETRY}, 100, True),
        # Nothing says the version: the lower of both readings, and it is told.
        (1000, OLD, {}, 100, False),
        # 800 cannot include 900, whatever the convention demands.
        (800, STANDARD, {}, 800, True),
        (800, OLD, {}, 800, True),
        (800, STANDARD, {"setting": InputTokens.INCLUDES_CACHED}, 800, True),
        # Without cached tokens both readings are the same.
        (1000, {}, {}, 1000, True),
        (1000, {}, {"setting": InputTokens.INCLUDES_CACHED}, 1000, True),
        # The setting decides for those who know their program.
        (1000, OLD, {"setting": InputTokens.EXCLUDES_CACHED}, 1000, True),
        (1000, STANDARD, {"setting": InputTokens.EXCLUDES_CACHED}, 1000, True),
        (1000, OLD, {"schema": V1_39, "setting": InputTokens.INCLUDES_CACHED}, 100, True),
        # Names of before 1.27, text numbers.
        ("1000", STANDARD, {}, 100, True),
    ],
)
def test_what_input_tokens_counts(stated, attributes, where, fresh, known):
    read = usage(attributes | {"gen_ai.usage.input_tokens": stated}, **where)

    assert (int(read.attributes[In.INPUT_TOKENS]), read.input_known) == (fresh, known)


def test_names_of_before_1_27_are_read():
    read = usage({"gen_ai.usage.prompt_tokens": 30, "gen_ai.usage.completion_tokens": 4, "gen_ai.system": "Anthropic"})

    assert read.attributes[In.INPUT_TOKENS] == 30
    assert read.attributes[In.OUTPUT_TOKENS] == 10, "the newer name wins"


def test_the_proposed_name_of_cache_writes_is_read():
    read = usage({"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.cache_write.input_tokens": 200})

    assert (read.attributes[In.INPUT_TOKENS], read.attributes[In.CACHE_CREATION_TOKENS]) == (800, 200)


@pytest.mark.parametrize("operation", ["invoke_agent", "execute_tool", "create_agent", "embeddings", "invoke_workflow"])
def test_only_an_inference_is_a_call(operation):
    assert usage({"gen_ai.operation.name": operation, "gen_ai.usage.input_tokens": 5}) is None


def test_a_record_without_usage_is_not_a_call():
    assert (
        gen_ai_usage(
            {"gen_ai.operation.name": "chat", "gen_ai.request.model": "claude-sonnet-4-5"},
            scope_name="",
            schema_url="",
            call_id="",
            input_tokens=InputTokens.AUTO,
        )
        is None
    )


@pytest.mark.parametrize("stated", ["many", 3.5, True, -1, float("nan")])
def test_a_count_that_is_none_is_left_for_metering_to_refuse(stated):
    read = usage(STANDARD | {"gen_ai.usage.input_tokens": stated})

    assert read.attributes[In.INPUT_TOKENS] is stated


def test_words_of_the_client_on_foreign_records_are_not_believed():
    read = usage(
        {"gen_ai.usage.input_tokens": 5, "speed": "fast", "cost_usd": 9.0, "model": "claude-opus-5", "team.id": "t"}
    )

    assert "speed" not in read.attributes
    assert "cost_usd" not in read.attributes
    assert read.attributes[In.MODEL] == "claude-sonnet-4-5"
    assert read.attributes["team.id"] == "t"


def test_the_model_that_answered_is_priced():
    asked = usage({"gen_ai.usage.input_tokens": 5})
    answered = usage({"gen_ai.usage.input_tokens": 5, "gen_ai.response.model": "claude-haiku-4-5"})

    assert (asked.attributes[In.MODEL], asked.served) == ("claude-sonnet-4-5", False)
    assert (answered.attributes[In.MODEL], answered.served) == ("claude-haiku-4-5", True)
