"""What other programs send: attribute keys of the OpenTelemetry GenAI conventions."""

from __future__ import annotations

from enum import StrEnum


class GenAi(StrEnum):
    """Attribute keys of the GenAI conventions that the SDK plug-in reads, older spellings included."""

    AGENT_ID = "gen_ai.agent.id"
    AGENT_NAME = "gen_ai.agent.name"
    CACHE_CREATION_INPUT_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
    CACHE_CREATION_INPUT_TOKENS_OLD = "gen_ai.usage.cache_creation_input_tokens"
    CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
    CACHE_READ_INPUT_TOKENS_OLD = "gen_ai.usage.cache_read_input_tokens"
    CACHE_WRITE_INPUT_TOKENS = "gen_ai.usage.cache_write.input_tokens"
    COMPLETION_TOKENS = "gen_ai.usage.completion_tokens"
    CONVERSATION_ID = "gen_ai.conversation.id"
    ENDUSER_ID = "enduser.id"
    INPUT_TOKENS = "gen_ai.usage.input_tokens"
    OPERATION = "gen_ai.operation.name"
    OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
    PROMPT_TOKENS = "gen_ai.usage.prompt_tokens"
    PROVIDER_NAME = "gen_ai.provider.name"
    REQUEST_MODEL = "gen_ai.request.model"
    RESPONSE_ID = "gen_ai.response.id"
    RESPONSE_MODEL = "gen_ai.response.model"
    SYSTEM = "gen_ai.system"
