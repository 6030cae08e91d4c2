"""The page that people see, written in TypeScript and built into the wheel.

Owns: the page's sources (`page/`) and the built files (`static/`).
Never does: anything at run time but say where the built files are.
Start reading at: `page/src/main.tsx`.
"""

from pathlib import Path

__all__ = ["page_directory"]


def page_directory() -> Path:
    """Directory with `index.html` and `assets/`."""
    return Path(__file__).parent / "static"
