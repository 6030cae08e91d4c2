"""Where a model is served."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An OpenAI-compatible endpoint; `base_url` is checked by the settings."""

    base_url: str
    """Up to and without `/chat/completions`."""
    model: str
    api_key: str = field(default="", repr=False)
    """Empty: it wants none."""

    @property
    def shown(self) -> str:
        """As it may stand in a log."""
        return f"{self.model} at {urlsplit(self.base_url).netloc}"

    @property
    def exposed(self) -> bool:
        """Pictures, answers and the key travel where others may read them."""
        parts = urlsplit(self.base_url)
        return parts.scheme != "https" and not _is_here(parts.hostname or "")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
