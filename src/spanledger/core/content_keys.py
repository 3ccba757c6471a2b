"""Attributes that hold text of prompts, replies and tools, by who names them so.

Sources: what Claude Code sends with its content switches on (captures, its documentation), the GenAI and MCP semantic
conventions of OpenTelemetry with their deprecated names, OpenInference, OpenLLMetry (Traceloop), and the names of wide
use beside them. `*` and `?` as in file names: conventions that number a list put the number into the key
(`gen_ai.prompt.0.content`).
"""

from __future__ import annotations

BODY_KEY = "body"
"""A raw request or reply of the API, and the key that the body of a log record goes by."""

STATUS_MESSAGE_KEY = "status.message"
"""The key that the message of a span's status goes by: it repeats the text of an error."""

_CLAUDE_CODE = (
    *("prompt", "prompt_text", "user_prompt", "response", "response.model_output", "response.thinking_output"),
    *("tool_input", "tool_parameters", "tool_result", "tool_output", "tools", "tool", "full_command", "bash_command"),
    *("command", "file_path", "new_context", "system_prompt*", "system_reminders", "hook_definitions"),
    *(BODY_KEY, "error", STATUS_MESSAGE_KEY, "error.message", "exception.message", "exception.stacktrace"),
)
_PLAIN = (
    *("content", "contents", "message", "messages", "text", "thinking", "reasoning", "query", "question", "answer"),
    *("input", "inputs", "output", "outputs", "arguments", "args", "result", "completion", "instructions", "summary"),
    *("stdout", "stderr", "system", "request_body", "response_body", "request.body", "response.body"),
    *("process.command_args", "process.command_line"),
)
_GEN_AI = (
    *("gen_ai.input.messages*", "gen_ai.output.messages*", "gen_ai.system_instructions*", "gen_ai.prompt*"),
    *("gen_ai.completion*", "gen_ai.content.*", "gen_ai.event.content", "gen_ai.tool.definitions*"),
    *("gen_ai.tool.description", "gen_ai.tool.call.arguments*", "gen_ai.tool.call.result*", "gen_ai.tool.input"),
    *("gen_ai.tool.output", "gen_ai.tool.args", "gen_ai.tool.message", "gen_ai.input", "gen_ai.output"),
    *("gen_ai.*.message", "gen_ai.choice*", "gen_ai.retrieval.query.text", "gen_ai.retrieval.documents*"),
    *("gen_ai.memory.query.text", "gen_ai.memory.records*", "gen_ai.evaluation.explanation", "gen_ai.thinking*"),
    *("gen_ai.reasoning*", "gen_ai.request.messages*", "gen_ai.response.text*", "mcp.request.argument*"),
    *("mcp.response.value", "db.query.text", "db.query.parameter.*", "db.statement", "http.request.body*"),
    *("http.response.body*", "gen_ai.request.stop_sequences"),
)
_OPEN_INFERENCE = (
    *("input.value", "output.value", "input.images*", "output.images*", "input.audio*", "output.audio*"),
    *("input.documents*", "output.documents*", "llm.prompts*", "llm.choices*", "llm.input_messages*"),
    *("llm.output_messages*", "llm.function_call*", "llm.tools*", "llm.prompt_template.*"),
    *("llm.invocation_parameters", "message.content*", "message.function_call_arguments_json", "message.tool_calls*"),
    *("message_content.*", "prompt.text", "completion.text", "tool_call.function.arguments", "tool.parameters"),
    *("tool.description", "tool.json_schema", "document.content", "document.metadata", "retrieval.documents*"),
    *("reranker.query", "reranker.input_documents*", "reranker.output_documents*", "embedding.text"),
    *("embedding.vector", "embedding.embeddings*", "image.url", "video.url", "audio.url", "audio.transcript"),
    *("*annotation.explanation", "*evaluation.explanation"),
)
_OPEN_LLMETRY = (
    *("traceloop.entity.input", "traceloop.entity.output", "traceloop.prompt.template*", "llm.completions*"),
    *("llm.request.functions*", "llm.content.completion.chunk", "llm.chat.stop_sequences", "db.query.result.document"),
    *("db.search.result.entity", "db.*.search.query", "db.*.where_document", "pinecone.query.queries"),
)
_OTHERS = (
    *("ai.prompt*", "ai.response.text", "ai.response.object", "ai.response.reasoning", "ai.response.toolCalls"),
    *("ai.toolCall.args", "ai.toolCall.result", "ai.value*", "langfuse.*.input", "langfuse.*.output"),
    *("mlflow.spanInputs", "mlflow.spanOutputs", "all_messages_events", "pydantic_ai.all_messages*", "final_result"),
    *("tool_arguments", "tool_response", "request_data", "response_data"),
)

CONTENT_KEYS = tuple(dict.fromkeys((*_CLAUDE_CODE, *_PLAIN, *_GEN_AI, *_OPEN_INFERENCE, *_OPEN_LLMETRY, *_OTHERS)))
"""Patterns of all of them."""
