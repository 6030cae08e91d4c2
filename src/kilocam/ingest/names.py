"""Camera names to addresses, so that a name server that hangs holds back its own names only.

The system's lookup blocks for as long as its name servers like, so each name has a thread of its
own while it is looked up, and at most one. The loop's pool is not used: a few dead names would fill
it, hold back all other names and whatever else is done there, and delay the end of the process.
"""

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

NAME_S = 5.0
"""A name never found before is waited for this long; its lookup goes on for the next attempt."""
PATIENCE_S = 1.0
"""One that was found before is used again when its lookup takes longer."""
MOST_LOOKUPS = 256
"""So many names may hang at once; further ones wait for one of them to end."""
MOST_KNOWN = 10_000
_GONE = (socket.EAI_NONAME, socket.EAI_NODATA)
"""The answer that there is no such name; all else is trouble on the way to one."""

Address = tuple[int, tuple[str | int | bytes, ...]]
"""Family and what `connect` takes."""
Lookup = Callable[[str], Sequence[Address]]


def system_lookup(host: str, *, numeric: bool = False) -> list[Address]:
    """The system's addresses of `host`; raises `socket.gaierror`; may block unless `numeric`."""
    flags = socket.AI_NUMERICHOST if numeric else 0
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError:  # an empty label, or one of over 63 bytes
        raise socket.gaierror(socket.EAI_NONAME, "not a valid name") from None
    return [(family, target) for family, _, _, _, target in found]


class Names:
    """Looks names up, and remembers where they last were.

    Args:
        lookup: asks the name servers; runs in a thread.
        most: names looked up at once.
        name_s: how long to wait for a name.
        patience_s: how long for one that is known.
    """

    def __init__(
        self,
        lookup: Lookup = system_lookup,
        *,
        most: int = MOST_LOOKUPS,
        name_s: float = NAME_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._lookup = lookup
        self._most = most
        self._name_s = name_s
        self._patience_s = patience_s
        self._known: dict[str, Sequence[Address]] = {}
        self._asked: dict[str, asyncio.Future[Sequence[Address] | socket.gaierror]] = {}
        self._waiting: deque[str] = deque()
        self._threads = 0

    async def addresses(self, host: str) -> Sequence[Address]:
        """Where `host` is, or last was while no name server says.

        Raises:
            socket.gaierror: it is unknown, or no answer came in time.
        """
        known = self._known.get(host)
        try:
            async with asyncio.timeout(self._patience_s if known else self._name_s):
                answer = await asyncio.shield(self._ask(host))
        except TimeoutError:
            text = f"its name server did not answer within {self._name_s:g} s"
            answer = socket.gaierror(socket.EAI_AGAIN, text)
        if not isinstance(answer, socket.gaierror):
            return answer
        if known and answer.errno not in _GONE:
            return known
        self._known.pop(host, None)
        raise answer

    def _ask(self, host: str) -> asyncio.Future[Sequence[Address] | socket.gaierror]:
        asked = self._asked.get(host)
        if asked is None:
            asked = self._asked[host] = asyncio.get_running_loop().create_future()
            self._waiting.append(host)
            self._go_on()
        return asked

    def _go_on(self) -> None:
        while self._waiting and self._threads < self._most:
            self._threads += 1
            host = self._waiting.popleft()
            loop = asyncio.get_running_loop()
            thread = threading.Thread(
                target=self._work, args=(loop, host), name=f"name {host}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # the system allows no more threads
                fault = socket.gaierror(socket.EAI_AGAIN, "no thread could be started")
                loop.call_soon(self._answered, host, fault)

    def _work(self, loop: asyncio.AbstractEventLoop, host: str) -> None:
        answer: Sequence[Address] | socket.gaierror
        try:
            answer = self._lookup(host)
        except socket.gaierror as error:
            answer = error
        except OSError as error:
            answer = socket.gaierror(socket.EAI_AGAIN, str(error))
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(self._answered, host, answer)

    def _answered(self, host: str, answer: Sequence[Address] | socket.gaierror) -> None:
        self._threads -= 1
        if not isinstance(answer, socket.gaierror):
            self._known.pop(host, None)
            self._known[host] = answer
            if len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
        self._asked.pop(host).set_result(answer)
        self._go_on()
