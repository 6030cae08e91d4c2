"""The root of every error tree of ours.

    KilocamError            what happened, which thing, how to mend it: one line for a person
    └── ConfigError         a setting or an argument is wrong; the command line exits with 2

Each room hangs its own tree below `KilocamError` in its `errors.py`. The pure rooms (`bitstream`,
`rtsp`) have trees of their own that do not know this one.
"""


class KilocamError(Exception):
    """An error whose text is fit for a person: what, which thing, how to mend it."""


class ConfigError(KilocamError):
    """A setting, an argument or a file given by the user is wrong."""
