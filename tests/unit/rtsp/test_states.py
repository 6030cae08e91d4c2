"""The documents show the machines as they are."""

from pathlib import Path

from kilocam.rtsp.states import CLIENT, SERVER, ClientState, ServerState

PAGE = Path(__file__).parents[3] / "docs" / "design" / "rtsp.md"


def drawn(title: str) -> set[str]:
    """The arrows of the diagram below a heading."""
    text = PAGE.read_text().partition(f"### {title}")[2].partition("```mermaid")[2]
    return {line.strip() for line in text.partition("```")[0].splitlines() if "-->" in line}


def test_diagram_of_the_client_is_that_of_its_table() -> None:
    arrows = {f"{a} --> {b}: {word}" for (a, word), b in CLIENT.items()}
    assert drawn("The client's states") == arrows


def test_diagram_of_the_server_is_that_of_its_table() -> None:
    arrows = {f"{a} --> {b}: {word}" for (a, word), b in SERVER.items()}
    assert drawn("The server's states") == arrows


def test_every_state_can_be_reached() -> None:
    assert set(CLIENT.values()) | {ClientState.IDLE} == set(ClientState)
    assert set(SERVER.values()) | {ServerState.INIT} == set(ServerState)
