"""Errors of playback.

PlaybackError               footage cannot be shown; one line for a person
├── NoFootage               nothing was recorded there; `gap` says why
├── NoPicture               something was recorded, but no picture of it can be decoded
├── NotPlayable             the camera's codecs cannot be played
├── NoSuchSegment           the name of a media segment names nothing that is stored
├── CapabilityRefused       a media URL is forged, expired or signed with a key we do not have
└── Busy                    too many decode or read at once
"""

from kilocam.core import Gap, KilocamError


class PlaybackError(KilocamError):
    """Footage cannot be shown."""


class NoFootage(PlaybackError):
    """Nothing was recorded at that moment."""

    def __init__(self, text: str, gap: Gap) -> None:
        super().__init__(text)
        self.gap = gap


class NoPicture(PlaybackError):
    """There is footage, but no picture of it can be decoded."""


class NotPlayable(PlaybackError):
    """The camera's codecs cannot be played."""


class NoSuchSegment(PlaybackError):
    """The name of a media segment names nothing that is stored."""


class CapabilityRefused(PlaybackError):
    """A media URL is forged, expired or signed with a key we do not have."""


class Busy(PlaybackError):
    """Too many decode or read at once; trying again helps."""
