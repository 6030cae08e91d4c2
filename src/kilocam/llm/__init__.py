"""Asking a language model, whoever serves it: the only room that knows such an endpoint.

Owns: the endpoint's address and key, one question with its picture, one answer of bounded length,
what may go wrong.
Never does: act on what a model says; ask again by itself; put the key anywhere but in the header of
a request to that endpoint; log what an endpoint answers.
Start reading at: `model.py`. It is imported by its own name: it loads an HTTP client, which whoever
only names a question or an error does without.
"""

from kilocam.llm.endpoint import Endpoint
from kilocam.llm.errors import LlmError, Trouble
from kilocam.llm.question import Question

__all__ = ["Endpoint", "LlmError", "Question", "Trouble"]
