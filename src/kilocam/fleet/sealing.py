"""Seals texts (camera addresses with their credentials) with AES-256-GCM.

A sealed text is `key id . base64url(nonce, ciphertext, tag)`; the context it was sealed for
(`tenant/camera`) is authenticated, so that it opens nowhere else.
"""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kilocam.fleet.errors import Unsealable
from kilocam.fleet.keys import Keyring, Use

_NONCE = 12


class Seal:
    """Seals with the newest camera key, opens with any."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, text: str, context: str) -> str:
        """Encrypt `text` for `context`."""
        key = self._keyring.newest(Use.CAMERA)
        nonce = os.urandom(_NONCE)
        sealed = AESGCM(key.secret).encrypt(nonce, text.encode(), context.encode())
        return f"{key.id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def unseal(self, sealed: str, context: str) -> str:
        """Decrypt.

        Raises:
            Unsealable: the key is not in the key file, or the text is not of this context.
        """
        key_id, _, body = sealed.partition(".")
        key = self._keyring.find(Use.CAMERA, key_id)
        if key is None:
            raise Unsealable(
                f"the address of {context} was sealed with key {key_id!r}, which the key file does "
                "not hold: restore the key file, or set the address again"
            )
        try:
            raw = base64.urlsafe_b64decode(body)
            if base64.urlsafe_b64encode(raw).decode() != body:  # its last bits may say anything
                raise ValueError("not as it was written")
            opened = AESGCM(key.secret).decrypt(raw[:_NONCE], raw[_NONCE:], context.encode())
        except (ValueError, InvalidTag):
            raise Unsealable(
                f"the sealed address of {context} is damaged or belongs to another camera: "
                "set the address again"
            ) from None
        return opened.decode()
