"""Sealed texts."""

from pathlib import Path

import pytest

from kilocam.fleet import Keyring, Seal, Unsealable


@pytest.fixture
def seal(tmp_path: Path) -> Seal:
    return Seal(Keyring.open(tmp_path / "keys.json"))


def test_what_is_sealed_opens_again_and_never_looks_the_same(seal: Seal) -> None:
    texts = {seal.seal("rtsp://u:p@h/ü", "a/b") for _ in range(10)}
    assert len(texts) == 10
    assert {seal.unseal(text, "a/b") for text in texts} == {"rtsp://u:p@h/ü"}


def test_a_sealed_text_opens_nowhere_else(seal: Seal) -> None:
    sealed = seal.seal("secret", "a/b")
    with pytest.raises(Unsealable, match="the sealed address of a/c is damaged or belongs to"):
        seal.unseal(sealed, "a/c")


def test_any_altered_character_is_noticed(seal: Seal) -> None:
    for _ in range(20):  # how the last character is spared depends on the bits
        sealed = seal.seal("secret", "a/b")
        for at in range(len(sealed)):
            other = "A" if sealed[at] != "A" else "B"
            with pytest.raises(Unsealable):
                seal.unseal(sealed[:at] + other + sealed[at + 1 :], "a/b")


@pytest.mark.parametrize("text", ["", ".", "x", "x.y", "\udc80.\udc80"])
def test_garbage_is_unsealable(seal: Seal, text: str) -> None:
    with pytest.raises(Unsealable):
        seal.unseal(text, "a/b")


def test_a_key_that_is_gone_is_named(seal: Seal, tmp_path: Path) -> None:
    sealed = seal.seal("secret", "a/b")
    other = Seal(Keyring.open(tmp_path / "other.json"))
    with pytest.raises(Unsealable, match=f"sealed with key '{sealed[:8]}', which the key file"):
        other.unseal(sealed, "a/b")
