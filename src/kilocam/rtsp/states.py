"""The states of both machines as transition tables, from which the documents' diagrams are drawn.

A table maps (state, input) to the next state. An input that has no entry is a misuse at the client
and a 455 at the server.
"""

from enum import StrEnum
from typing import Final


class ClientState(StrEnum):
    """Where a handshake stands."""

    IDLE = "idle"
    OPTIONS = "options"
    DESCRIBE = "describe"
    SETUP = "setup"
    PLAY = "play"
    PLAYING = "playing"
    ENDED = "ended"


class ClientInput(StrEnum):
    """What moves a handshake on."""

    START = "start"
    ANSWERED = "answered"
    MORE_MEDIA = "more media"
    MEDIA_SET_UP = "media set up"
    CHALLENGED = "challenged"
    REDIRECTED = "redirected"
    FAILED = "failed"
    TEARDOWN = "teardown"


_ASKING = (ClientState.OPTIONS, ClientState.DESCRIBE, ClientState.SETUP, ClientState.PLAY)

CLIENT: Final[dict[tuple[ClientState, ClientInput], ClientState]] = {
    (ClientState.IDLE, ClientInput.START): ClientState.OPTIONS,
    (ClientState.OPTIONS, ClientInput.ANSWERED): ClientState.DESCRIBE,
    (ClientState.OPTIONS, ClientInput.CHALLENGED): ClientState.OPTIONS,
    (ClientState.DESCRIBE, ClientInput.ANSWERED): ClientState.SETUP,
    (ClientState.DESCRIBE, ClientInput.CHALLENGED): ClientState.DESCRIBE,
    (ClientState.SETUP, ClientInput.MORE_MEDIA): ClientState.SETUP,
    (ClientState.SETUP, ClientInput.CHALLENGED): ClientState.SETUP,
    (ClientState.SETUP, ClientInput.MEDIA_SET_UP): ClientState.PLAY,
    (ClientState.PLAY, ClientInput.CHALLENGED): ClientState.PLAY,
    (ClientState.PLAY, ClientInput.ANSWERED): ClientState.PLAYING,
    **{(state, ClientInput.REDIRECTED): ClientState.IDLE for state in _ASKING},
    **{(state, ClientInput.FAILED): ClientState.ENDED for state in _ASKING},
    **{(state, ClientInput.TEARDOWN): ClientState.ENDED for state in ClientState},
}


class ServerState(StrEnum):
    """Where a served session stands (RFC 2326 section A.2)."""

    INIT = "init"
    READY = "ready"
    PLAYING = "playing"


SERVER: Final[dict[tuple[ServerState, str], ServerState]] = {
    (ServerState.INIT, "SETUP"): ServerState.READY,
    (ServerState.READY, "SETUP"): ServerState.READY,
    (ServerState.READY, "PLAY"): ServerState.PLAYING,
    (ServerState.PLAYING, "PLAY"): ServerState.PLAYING,
    (ServerState.READY, "TEARDOWN"): ServerState.INIT,
    (ServerState.PLAYING, "TEARDOWN"): ServerState.INIT,
    **{
        (state, method): state
        for state in ServerState
        for method in ("OPTIONS", "DESCRIBE", "GET_PARAMETER", "SET_PARAMETER")
    },
}
