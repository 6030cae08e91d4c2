"""Ids of cameras and tenants, and the partition a camera belongs to."""

import re
from functools import lru_cache
from typing import NamedTuple

from blake3 import blake3

from kilocam.core.errors import ConfigError

PARTITIONS = 64
_KNOWN = 16_384
"""Cameras whose partition is remembered."""
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def check_id(kind: str, value: str) -> str:
    """Return `value` if it is a well-formed id, else raise `ConfigError` naming its `kind`."""
    if not _ID.fullmatch(value):
        raise ConfigError(
            f"{kind} id {value!r} is not valid: use 1 to 63 of a-z, 0-9, '-' and '_', "
            "starting with a letter or digit"
        )
    return value


class CameraKey(NamedTuple):
    """A camera's full name; a camera's id is unique in its tenant only.

    A tuple, for it is hashed and compared thousands of times a second.
    """

    tenant: str
    camera: str

    @property
    def partition(self) -> int:
        """Partition 0..63: the first 8 bytes of BLAKE3("tenant/camera"), big-endian, mod 64."""
        return _partition(self)

    def __str__(self) -> str:
        return f"{self.tenant}/{self.camera}"


@lru_cache(_KNOWN)
def _partition(key: CameraKey) -> int:
    return int.from_bytes(blake3(str(key).encode()).digest(8), "big") % PARTITIONS
