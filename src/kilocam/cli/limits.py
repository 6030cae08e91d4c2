"""Limits of the operating system that we mend by ourselves."""

import resource

from kilocam.core import ConfigError


def raise_file_limit(wanted: int = 0) -> None:
    """Use as many file handles as the system lets us; a camera needs one, and 1024 is common.

    Raises:
        ConfigError: `wanted` handles are more than the hard limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ConfigError(
            f"{wanted} open files are needed, the system allows {hard}; "
            f"raise the hard limit (ulimit -Hn {wanted}, or LimitNOFILE= of the service)"
        )
