"""Sign-in links: a browser gets in with one, once, and needs no token typed into it."""

from kilocam.api.catalogue import Caller, Catalogue, Model, Nothing, Operation
from kilocam.core import format_time, now_us
from kilocam.fleet import Role, Sessions
from kilocam.fleet.sessions import LINK_US


class LinkOut(Model):
    """A link just made; whoever opens it first is signed in as its maker."""

    link: str
    """Relative to the gateway's address."""
    expires: str


class LinkOperations:
    """The operation on sign-in links."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def enter(self, catalogue: Catalogue) -> None:
        """Put it into the catalogue."""
        catalogue.add(Operation(
            name="create_link", summary="Make a link that signs a browser in to the page, once.",
            method="POST", path="/v1/session/links", needs=Role.ADMIN, status=201,
            takes=Nothing, gives=LinkOut, call=self.create,
        ))  # fmt: skip

    async def create(self, caller: Caller, given: Nothing) -> LinkOut:  # noqa: ARG002 - none given
        """A link for the caller; who signs in with it is out when the caller is at the latest."""
        expires = format_time(now_us() + LINK_US)
        link = self._sessions.issue_link(caller.principal, until_us=caller.until_us)
        return LinkOut(link=f"/v1/session/link?link={link}", expires=expires)
