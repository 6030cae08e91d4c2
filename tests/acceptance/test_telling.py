"""What is shown and said to the whole system is found by its words."""

import pytest
from bench import telling


@pytest.mark.timeout(300)
def test_a_sign_and_a_sentence_are_found_by_their_words() -> None:
    result = telling.prove(2, 75, settling_s=5)
    assert result.signs.told >= 1
    assert result.signs.latencies_s
    assert all(title.startswith('text "LOADING BAY 7" at cam') for title in result.read)
    assert result.sentences.told >= 1
    assert result.sentences.latencies_s
    assert all("at cam1" in title for title in result.heard)
