"""What an analyst has learnt of its cameras, kept for the one that comes after it.

Without it a busy camera's windows of the time without an analyst would be taken for usual.
"""

import json
import logging
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from kilocam.analyse import Learnt
from kilocam.cli.supervise_state import write_whole
from kilocam.core import CameraKey

_log = logging.getLogger(__name__)
MOST = 20_000
"""Cameras; those that were removed long ago go first."""
_NONE_OF_OURS = (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)


def recall(file: Path) -> dict[CameraKey, Learnt]:
    """What `remember` wrote; nothing where that cannot be read: then it is learnt anew."""
    try:
        content = json.loads(file.read_text())
        return {CameraKey(*name.split("/")): _learnt(*known) for name, known in content.items()}
    except FileNotFoundError:
        return {}
    except _NONE_OF_OURS as error:
        _log.warning("what is quiet is learnt anew: %s cannot be read: %s", file.name, error)
        return {}


def _learnt(active: object, levels: object) -> Learnt:
    if not isinstance(active, bool) or not isinstance(levels, list):
        raise TypeError("it is none of ours")
    known = tuple(float(level) for level in levels)
    if not all(map(math.isfinite, known)):
        raise ValueError("it has numbers that are none")
    return Learnt(active=active, levels=known)


def remember(file: Path, learnt: Mapping[CameraKey, Learnt]) -> None:
    """Keep what is known of each camera; a full disk is no reason to stop."""
    content = {
        str(key): [known.active, [round(level, 3) for level in known.levels]]
        for key, known in list(learnt.items())[-MOST:]
    }
    with suppress(OSError):
        write_whole(file, json.dumps(content))
