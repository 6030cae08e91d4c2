"""Which of the windows that the gate passes over are looked at all the same.

Drawn by a hash of the window's name: nothing about the window itself has a say in it, so what is
found in those drawn tells of all of them.
"""

from zlib import crc32

from kilocam.core import CameraKey


def drawn(key: CameraKey, start_us: int, every: int) -> bool:
    """Whether the window of a camera that begins then is one of about one in `every`."""
    return crc32(f"{key.tenant}/{key.camera}/{start_us}".encode()) % every == 0
