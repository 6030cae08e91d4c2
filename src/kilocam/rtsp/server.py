"""The server's side of one connection: what a camera is to its clients.

RTP over TCP interleaved only: other transports are answered with 461, upon which ffmpeg, GStreamer
and VLC ask for TCP. Deviations of bad cameras are data (`ServerQuirk`), acted out for tests.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kilocam.rtsp.deviations import (
    ServerQuirk,
    bent_base,
    bent_sdp,
    bent_transport,
    encode_bent,
)
from kilocam.rtsp.errors import LocalProtocolError, RemoteProtocolError
from kilocam.rtsp.guard import Guard
from kilocam.rtsp.messages import (
    DEFAULT_LIMITS,
    NEED_DATA,
    REASONS,
    Headers,
    Limits,
    MessageReader,
    Request,
    Response,
    encode,
    type_of_need_data,
)
from kilocam.rtsp.states import SERVER, ServerState
from kilocam.rtsp.transport import parse_channels, parse_session
from kilocam.rtsp.url import Credentials, join_control

_PUBLIC = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER, SET_PARAMETER"
_KNOWN = frozenset(_PUBLIC.split(", "))
_KEEP_ALIVES = frozenset({"OPTIONS", "GET_PARAMETER", "SET_PARAMETER"})
_LAST_CHANNEL = 254


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What can be played at a path: its SDP, and the control names of its media in order."""

    sdp: bytes
    controls: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedTrack:
    """A medium that the client set up; `index` counts `Description.controls`."""

    index: int
    rtp_channel: int
    rtcp_channel: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayRequested:
    """The client wants to play: answer with `play()` or `refuse()`."""

    path: str
    tracks: tuple[ServedTrack, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TornDown:
    """The client ended the session: send no more packets."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpInfo:
    """Sequence number and timestamp of the first packet of a medium (RFC 2326 section 12.33)."""

    index: int
    seq: int
    rtptime: int


class RtspServer:
    """One client's connection.

    Args:
        resolve: what can be played at a path ("/cam/0"); None for nothing (404).
        session_id: the session's id, hard to guess.
        nonce: for Digest; hard to guess.
        credentials: what a client must know; None to let all in.
        realm: named in challenges.
        digest: challenge with Digest; else with Basic.
        session_timeout_s: told to the client.
        quirks: how to misbehave.
        limits: bounds of what is kept.
    """

    def __init__(
        self,
        resolve: Callable[[str], Description | None],
        *,
        session_id: str,
        nonce: str,
        credentials: Credentials | None = None,
        realm: str = "Kilocam",
        digest: bool = True,
        session_timeout_s: int = 60,
        quirks: frozenset[ServerQuirk] = frozenset(),
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._resolve = resolve
        self._session_id = session_id
        self._guard = Guard(credentials, realm=realm, nonce=nonce, digest=digest, quirks=quirks)
        self._timeout_s = session_timeout_s
        self._quirks = quirks
        self._limits = limits
        self._reader = MessageReader(limits)
        self._out = bytearray()
        self._state = ServerState.INIT
        self._path = ""
        self._url = ""
        self._tracks: dict[int, ServedTrack] = {}
        self._pending: Request | None = None
        self._event: PlayRequested | TornDown | None = None
        self._setups = 0

    # -- the face

    def receive_data(self, data: bytes) -> None:
        """Take bytes that were read.

        Raises:
            RemoteProtocolError: the client asks on and on without reading the answers.
        """
        if len(self._out) > self._limits.max_unread:
            raise RemoteProtocolError(
                f"the client leaves more than {self._limits.max_unread} bytes of answers unread "
                "(max_unread); close the connection"
            )
        self._reader.receive_data(data)

    def next_event(self) -> PlayRequested | TornDown | type_of_need_data:
        """What the client wants; NEED_DATA also while a `PlayRequested` waits for its answer.

        Raises:
            RemoteProtocolError: it sent no RTSP; a 400 waits in `data_to_send`.
        """
        while self._pending is None and len(self._out) <= self._limits.max_unread:
            try:
                message = self._reader.next_message()
            except RemoteProtocolError:
                self._out += encode(Response(status=400, reason=REASONS[400]))
                raise
            if message is NEED_DATA:
                break
            if isinstance(message, Request):
                self._serve(message)
            if self._event is not None:
                event, self._event = self._event, None
                return event
        return NEED_DATA

    def data_to_send(self) -> bytes:
        """What has become ready to write."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def play(self, info: Sequence[RtpInfo] = ()) -> None:
        """Answer the pending `PlayRequested`: packets may follow."""
        request = self._take_pending()
        self._state = SERVER[self._state, "PLAY"]
        fields = [("Session", self._session()), ("Range", "npt=0.000-")]
        if text := self._rtp_info(info):
            fields.append(("RTP-Info", text))
        self._answer(request, 200, *fields)
        if ServerQuirk.CALLS_CLIENT in self._quirks:
            call = Headers((("CSeq", "1"), ("Session", self._session_id)))
            self._out += encode(Request(method="OPTIONS", url=self._url, headers=call))

    def refuse(self, status: int) -> None:
        """Refuse the pending `PlayRequested`."""
        self._answer(self._take_pending(), status)

    # -- requests

    def _serve(self, request: Request) -> None:
        status = self._objection(request)
        if status == 401:
            self._answer(request, 401, *self._guard.challenges())
        elif status:
            self._answer(request, status)
        elif self._is_silent(request):
            return
        else:
            self._dispatch(request)

    def _objection(self, request: Request) -> int:
        """The status of a refusal that does not depend on the method's own work; 0 for none."""
        if request.headers.cseq is None:
            return 400
        if request.version != "1.0":
            return 505
        if request.headers.get("Require") is not None:
            return 551
        if request.method not in _KNOWN:
            return self._unknown(request.method)
        if not self._guard.admits(request):
            return 401
        session, _ = parse_session(request.headers.get("Session"))
        if session is not None and not self._is_session(session):
            return 454
        return 0 if (self._state, request.method) in SERVER else 455

    def _unknown(self, method: str) -> int:
        """PAUSE makes sense only while playing; all else is not implemented."""
        return 455 if method == "PAUSE" and self._state is not ServerState.PLAYING else 501

    def _dispatch(self, request: Request) -> None:
        match request.method:
            case "OPTIONS":
                self._serve_options(request)
            case "DESCRIBE":
                self._serve_describe(request)
            case "SETUP":
                self._serve_setup(request)
            case "PLAY":
                self._serve_play(request)
            case "TEARDOWN":
                self._serve_teardown(request)
            case "SET_PARAMETER" if request.body:
                self._answer(request, 451)
            case _:
                self._answer(request, 200, *self._session_field())

    def _serve_options(self, request: Request) -> None:
        if ServerQuirk.NO_OPTIONS in self._quirks:
            self._answer(request, 404)
        else:
            self._answer(request, 200, ("Public", _PUBLIC), *self._session_field())

    def _serve_describe(self, request: Request) -> None:
        accept = request.headers.get("Accept") or "application/sdp"
        if "application/sdp" not in accept and "*/*" not in accept:
            self._answer(request, 406)
            return
        description = self._resolve(_path(request.url))
        if description is None:
            self._answer(request, 404)
            return
        fields: list[tuple[str, str]] = []
        base = bent_base(_base(request.url), self._quirks)
        if base is not None:
            fields.append(("Content-Base", base))
        if ServerQuirk.NO_CONTENT_TYPE not in self._quirks:
            fields.append(("Content-Type", "application/sdp"))
        body = bent_sdp(description.sdp, self._quirks)
        self._answer(request, 200, *fields, body=body)

    def _serve_setup(self, request: Request) -> None:
        found = self._find_track(_path(request.url, control=True))
        if found is None:
            self._answer(request, 404)
            return
        path, index = found
        if self._tracks and path != self._path:
            self._answer(request, 459)
            return
        channels = self._channels(request.headers.get("Transport") or "", index)
        if channels is None:
            self._answer(request, 461)
            return
        self._state = SERVER[self._state, "SETUP"]
        self._path = path
        self._setups += 1
        track = ServedTrack(index=index, rtp_channel=channels[0], rtcp_channel=channels[1])
        self._tracks[index] = track
        transport = bent_transport(*channels, self._quirks)
        self._answer(request, 200, ("Transport", transport), ("Session", self._session()))

    def _serve_play(self, request: Request) -> None:
        if self._state is ServerState.PLAYING:  # seeking is not for live pictures
            self._answer(request, 200, *self._session_field())
            return
        self._pending = request
        self._url = _base(request.url).removesuffix("/")
        tracks = tuple(self._tracks[index] for index in sorted(self._tracks))
        self._event = PlayRequested(path=self._path, tracks=tracks)

    def _serve_teardown(self, request: Request) -> None:
        self._state = SERVER[self._state, "TEARDOWN"]
        self._event = TornDown(path=self._path)
        self._tracks.clear()
        self._answer(request, 200)

    # -- tracks and channels

    def _find_track(self, path: str) -> tuple[str, int] | None:
        """The path and the medium of a SETUP: "/cam/0/track1", or "/cam/0" with one medium."""
        whole = self._resolve(path)
        if whole is not None and len(whole.controls) == 1:
            return path, 0
        parent, _, control = path.rpartition("/")
        description = self._resolve(parent or "/")
        if description is None or control not in description.controls:
            return None
        return parent, description.controls.index(control)

    def _channels(self, transport: str, index: int) -> tuple[int, int] | None:
        """The channels for a SETUP; None if the client does not offer TCP."""
        offers = [t for t in transport.split(",") if "tcp" in t.lower() or "interleaved" in t]
        if not offers:
            return None
        taken = {
            channel
            for track in self._tracks.values()
            if track.index != index
            for channel in (track.rtp_channel, track.rtcp_channel)
        }
        wish = parse_channels(offers[0]) or (0, None)
        first = wish[0] + (4 if ServerQuirk.OTHER_CHANNELS in self._quirks else 0)
        free = (c for c in (first, *range(0, 256, 2)) if c <= _LAST_CHANNEL)
        rtp = next((c for c in free if not taken & {c, c + 1}), None)
        return None if rtp is None else (rtp, rtp + 1)

    # -- sessions

    def _session(self) -> str:
        """The Session field."""
        session = self._session_id
        if ServerQuirk.CHANGING_SESSION in self._quirks:
            session += str(self._setups)
        if ServerQuirk.NO_SESSION_TIMEOUT in self._quirks:
            return session
        return f"{session};timeout={self._timeout_s}"

    def _session_field(self) -> tuple[tuple[str, str], ...]:
        return () if self._state is ServerState.INIT else (("Session", self._session()),)

    def _is_session(self, session: str) -> bool:
        if self._state is ServerState.INIT:
            return False
        if ServerQuirk.CHANGING_SESSION in self._quirks:
            return session.startswith(self._session_id)
        return session == self._session_id

    def _is_silent(self, request: Request) -> bool:
        return (
            ServerQuirk.SILENT_KEEP_ALIVE in self._quirks
            and self._state is ServerState.PLAYING
            and request.method in _KEEP_ALIVES
        )

    # -- answers

    def _rtp_info(self, info: Sequence[RtpInfo]) -> str:
        if ServerQuirk.NO_RTP_INFO in self._quirks:
            return ""
        description = self._resolve(self._path)
        controls = description.controls if description is not None else ()
        wrong = ServerQuirk.WRONG_RTP_INFO in self._quirks
        parts = [
            f"url={join_control(self._url, controls[one.index])}"
            f";seq={0 if wrong else one.seq};rtptime={0 if wrong else one.rtptime}"
            for one in info
            if one.index < len(controls)
        ]
        return ",".join(parts) + (";" if wrong and parts else "")

    def _answer(
        self, request: Request, status: int, *fields: tuple[str, str], body: bytes = b""
    ) -> None:
        cseq = request.headers.cseq
        numbered = () if cseq is None else (("CSeq", str(cseq)),)
        if status == 551:
            fields = (*fields, ("Unsupported", request.headers.get("Require") or ""))
        if body:
            fields = (*fields, ("Content-Length", str(len(body))))
        response = Response(
            status=status,
            reason=REASONS.get(status, "Error"),
            headers=Headers((*numbered, ("Server", "Kilocam"), *fields)),
            body=body,
        )
        self._out += encode_bent(response, self._quirks)

    def _take_pending(self) -> Request:
        if self._pending is None:
            raise LocalProtocolError("no PlayRequested waits for an answer")
        request, self._pending = self._pending, None
        return request

    def check_invariants(self) -> None:
        """For tests: what holds after every call."""
        channels = [c for t in self._tracks.values() for c in (t.rtp_channel, t.rtcp_channel)]
        assert len(channels) == len(set(channels))
        assert all(0 <= c < 256 for c in channels)
        assert bool(self._tracks) == (self._state is not ServerState.INIT)
        assert self._pending is None or self._state is ServerState.READY


def _path(url: str, *, control: bool = False) -> str:
    """The path of a request's URL without query and trailing slash.

    A control name that a client put behind the query (it had no Content-Base) is kept.
    """
    rest = url.partition("://")[2]
    path, _, query = rest.partition("/")[2].partition("?")
    if control and "/" in query:
        path = f"{path.rstrip('/')}/{query.rpartition('/')[2]}"
    return f"/{path}".rstrip("/") or "/"


def _base(url: str) -> str:
    """The Content-Base of a URL: without its query, with a trailing slash."""
    return url.partition("?")[0].rstrip("/") + "/"
