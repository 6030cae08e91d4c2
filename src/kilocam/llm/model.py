"""One request, one answer: `POST BASE_URL/chat/completions` as OpenAI's API has it.

Works with whatever speaks it (OpenAI, llama.cpp, vLLM, Ollama and others): about a picture one
system and one user message, the picture as a data URL; in a conversation the messages so far and
the tools that may be called. `max_tokens`, no streaming. A request is sent once; redirects are not
followed, so the key goes to no other host.
"""

import asyncio
import base64
import json
import logging
import ssl
from collections.abc import Mapping
from typing import Any, Self

import httpx2

from kilocam.core import Clock, SystemClock, parse_retry_after
from kilocam.llm.conversation import Conversation, Turn, read_turn, request_of
from kilocam.llm.endpoint import Endpoint
from kilocam.llm.errors import LlmError, Trouble
from kilocam.llm.question import Question

CONNECT_S = 10.0
MOST_BYTES = 256 * 1024
"""Of an answer: a few sentences and what surrounds them are some KB."""


class LanguageModel:
    """A model of an endpoint; an async context manager.

    Args:
        endpoint: where and which.
        limit_s: what one question may take, from the first byte to the last.
        clock: reads `Retry-After` where that is a date.
    """

    def __init__(
        self, endpoint: Endpoint, *, limit_s: float = 60.0, clock: Clock | None = None
    ) -> None:
        self.endpoint = endpoint
        self._limit_s = limit_s
        self._clock = clock or SystemClock()
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        """Get ready; nothing is connected yet."""
        key = self.endpoint.api_key
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # it has a line for each request
        self._client = httpx2.AsyncClient(
            headers={
                "Accept-Encoding": "identity",  # so that few bytes stay few
                **({"Authorization": f"Bearer {key}"} if key else {}),
            },
            timeout=httpx2.Timeout(self._limit_s, connect=CONNECT_S),
            trust_env=False,  # what is not configured gets neither pictures nor key
            verify=ssl.create_default_context(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close connections."""
        if self._client is not None:
            await self._client.aclose()

    async def ask(self, question: Question) -> str:
        """What the model answers, as it came.

        Raises:
            LlmError: nothing came that can be used.
        """
        message = self._message(await self._post(_asking(self.endpoint.model, question)))
        content = message.get("content")
        if content is not None and not isinstance(content, str):
            raise self._error(Trouble.MALFORMED, "answered something else than text")
        if not content or not content.strip():
            raise self._error(Trouble.EMPTY, "answered nothing")
        return content

    async def go_on(self, conversation: Conversation) -> Turn:
        """What the model says next: words, calls of tools, or both.

        Raises:
            LlmError: nothing came that can be used.
        """
        body = await self._post(request_of(self.endpoint.model, conversation))
        try:
            turn = read_turn(self._message(body), len(body))
        except (LookupError, TypeError, ValueError):
            text = "called a tool in a way that is none"
            raise self._error(Trouble.MALFORMED, text) from None
        if not turn.text.strip() and not turn.calls:
            raise self._error(Trouble.EMPTY, "answered nothing")
        return turn

    async def _post(self, request: Mapping[str, object]) -> bytes:
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._exchange(request)
        except (TimeoutError, httpx2.TimeoutException) as error:
            if isinstance(error, httpx2.ConnectTimeout):
                raise self._error(Trouble.UNREACHABLE, "does not answer") from None
            text = f"gave no answer in {self._limit_s:g} s"
            raise self._error(Trouble.LATE, text) from None
        except httpx2.ConnectError:
            raise self._error(Trouble.UNREACHABLE, "cannot be connected to") from None
        except httpx2.HTTPError as error:
            text = f"broke off ({type(error).__name__})"
            raise self._error(Trouble.CUT_OFF, text) from None

    async def _exchange(self, request: Mapping[str, object]) -> bytes:
        assert self._client is not None
        url = f"{self.endpoint.base_url.rstrip('/')}/chat/completions"
        async with self._client.stream("POST", url, json=request) as answer:
            if answer.status_code != 200:
                raise self._refusal(answer.status_code, answer.headers)
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > MOST_BYTES:
                    text = f"answered with more than {MOST_BYTES} bytes"
                    raise self._error(Trouble.TOO_LONG, text)
        return bytes(body)

    def _refusal(self, status: int, headers: Mapping[str, str]) -> LlmError:
        wait_us = parse_retry_after(headers.get("retry-after", ""), self._clock.wall_us())
        if status in (429, 503):
            return self._error(Trouble.BUSY, f"is too busy (status {status})", wait_us)
        if status >= 500:
            return self._error(Trouble.BROKEN, f"failed (status {status})", wait_us)
        text = f"refused (status {status}); check llm.base_url, llm.model and llm.api_key"
        return self._error(Trouble.REFUSED, text, wait_us)

    def _message(self, body: bytes) -> dict[str, Any]:
        """The message of a completion; `Any`: JSON of a stranger."""
        try:
            message = json.loads(body)["choices"][0]["message"]
        except (ValueError, RecursionError, LookupError, TypeError):
            message = None
        if not isinstance(message, dict) or not {"content", "tool_calls"} & set(message):
            text = "answered something else than chat completions do; check llm.base_url"
            raise self._error(Trouble.MALFORMED, text)
        return message

    def _error(self, trouble: Trouble, text: str, wait_us: int = 0) -> LlmError:
        return LlmError(f"{self.endpoint.shown} {text}", trouble, wait_us=wait_us)


def _asking(model: str, question: Question) -> dict[str, object]:
    picture = f"data:image/jpeg;base64,{base64.b64encode(question.jpeg).decode()}"
    return {
        "model": model,
        "max_tokens": question.most_tokens,
        "messages": [
            {"role": "system", "content": question.instructions},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": question.text},
                    {"type": "image_url", "image_url": {"url": picture}},
                ],
            },
        ],
    }
