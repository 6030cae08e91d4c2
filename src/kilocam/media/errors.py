"""Errors of media.

MediaError              a file or a sample cannot be made or understood
└── DecodeError         the decoder gave no picture for these samples
"""

from kilocam.core import KilocamError


class MediaError(KilocamError):
    """A file or a sample cannot be made or understood."""


class DecodeError(MediaError):
    """The decoder gave no picture for these samples."""
