"""A conversation in which the model may call tools, as chat completions have it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MOST_CALLS = 8
"""In one turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """What the model may call."""

    name: str
    summary: str
    schema: Mapping[str, Any]
    """JSON schema of its arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the model wants called."""

    id: str
    name: str
    arguments: str
    """As it wrote them: JSON, or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What the model said."""

    text: str
    calls: tuple[Call, ...]
    tokens: int
    """What was said came to about so many, by its length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What was said so far, and what may be called."""

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Tool]
    most_tokens: int
    """Of the next turn."""


def request_of(model: str, conversation: Conversation) -> dict[str, object]:
    """The request that asks for the next turn."""
    return {
        "model": model,
        "max_tokens": conversation.most_tokens,
        "temperature": 0,
        "messages": list(conversation.messages),
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.summary,
                    "parameters": dict(tool.schema),
                },
            }
            for tool in conversation.tools
        ],
    }


def read_turn(message: Mapping[str, Any], size: int) -> Turn:
    """Of a completion's message; `size`: bytes of the completion.

    Raises:
        LookupError, TypeError, ValueError: it is not of the shape agreed.
    """
    text = message.get("content") or ""
    if not isinstance(text, str):
        raise TypeError(type(text).__name__)
    calls = [
        Call(
            id=_text(call["id"]),
            name=_text(call["function"]["name"]),
            arguments=_text(call["function"]["arguments"]),
        )
        for call in message.get("tool_calls") or ()
    ]
    return Turn(text=text, calls=tuple(calls[:_MOST_CALLS]), tokens=size // 4)


def said(turn: Turn) -> dict[str, object]:
    """The turn as a message of the conversation that goes on."""
    return {
        "role": "assistant",
        "content": turn.text,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in turn.calls
        ],
    }


def told(call: Call, result: str) -> dict[str, object]:
    """What a call came to, as the next message."""
    return {"role": "tool", "tool_call_id": call.id, "content": result}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value
