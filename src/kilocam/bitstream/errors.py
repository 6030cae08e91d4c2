"""What can be wrong with a bitstream.

BitstreamError          a header does not follow its specification: which field, and why
└── BitsExhausted       it ended before the field did: more bytes may help
"""


class BitstreamError(Exception):
    """A header that cannot be read; the text names the field."""


class BitsExhausted(BitstreamError):
    """The bytes end before the field does."""
