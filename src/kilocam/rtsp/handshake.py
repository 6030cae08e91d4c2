"""The handshake: from a URL to a playing session over TCP interleaved (RFC 2326 appendix D).

OPTIONS, DESCRIBE, SETUP of each wanted medium, PLAY; each request repeated once when challenged;
redirects followed by the caller. What the camera does differently is absorbed and named in
`quirks`. After PLAY the machine keeps the session alive and answers the camera.
"""

from kilocam.rtsp.auth import Authenticator
from kilocam.rtsp.client import Answered, Called, RtspClient
from kilocam.rtsp.description import nothing_offered, read_offer
from kilocam.rtsp.errors import LocalProtocolError, RtspError, shown
from kilocam.rtsp.keepalive import KeepAlive
from kilocam.rtsp.messages import (
    DEFAULT_LIMITS,
    NEED_DATA,
    NO_HEADERS,
    REASONS,
    Headers,
    Limits,
    RawFrame,
    Request,
    Response,
    type_of_need_data,
)
from kilocam.rtsp.outcome import Failed, FailureReason, MediaSetup, Playing, Redirected
from kilocam.rtsp.quirks import Quirk
from kilocam.rtsp.sdp import SdpMedia
from kilocam.rtsp.states import CLIENT, ClientInput, ClientState
from kilocam.rtsp.transport import asked_transport, parse_session, read_transport
from kilocam.rtsp.url import (
    Credentials,
    absolute,
    join_control,
    parse_url,
    same_peer,
)

MAX_REDIRECTS = 5


class Handshake:
    """Brings one camera to play.

    Args:
        url: the camera's URL, with or without credentials.
        credentials: used instead of those in the URL.
        cnonce: a random word, new for each connection (RFC 7616 section 3.3).
        user_agent: sent with each request.
        media: the kinds of media to set up.
        limits: bounds of what is kept of the camera's bytes.

    Raises:
        LocalProtocolError: `url` is no camera URL.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | None = None,
        *,
        cnonce: str,
        user_agent: str = "Kilocam",
        media: frozenset[str] = frozenset({"video", "audio"}),
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._url = self._first_url = parse_url(url)
        self._credentials = credentials or self._url.credentials
        self._cnonce = cnonce
        self._user_agent = user_agent
        self._wanted = media
        self._limits = limits
        self._state = ClientState.IDLE
        self._quirks: set[Quirk] = set()
        self._redirects = 0
        self._result: Playing | Redirected | Failed | None = None
        self._reset()

    def _reset(self) -> None:
        """What belongs to one connection."""
        self._client = RtspClient(
            user_agent=self._user_agent, authenticator=self._signer(), limits=self._limits
        )
        self._out = bytearray()
        self._challenged = False
        self._public: frozenset[str] = frozenset()
        self._sdp = b""
        self._offer = nothing_offered(self._url)
        self._todo: list[SdpMedia] = []
        self._media: list[MediaSetup] = []
        self._refused = ""
        self._timeout_s = 60
        self._early = bytearray()
        self._rest: bytes | None = None
        self._keep_alive: KeepAlive | None = None

    def _signer(self) -> Authenticator | None:
        """Another host never gets the password itself (quirk 5)."""
        if self._credentials is None:
            return None
        trusted = same_peer(self._first_url, self._url)
        return Authenticator(self._credentials, cnonce=self._cnonce, basic=trusted)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to connect to."""
        return self._url.host, self._url.port

    @property
    def tls(self) -> bool:
        """Whether the connection must be encrypted."""
        return self._url.tls

    @property
    def url(self) -> str:
        """The URL in a form fit for display."""
        return str(self._url)

    @property
    def quirks(self) -> frozenset[Quirk]:
        """What was met and absorbed so far."""
        return frozenset(self._quirks | self._client.quirks)

    @property
    def answered(self) -> bool:
        """Whether the host of the first URL has answered at all: somebody there speaks RTSP."""
        return self._redirects > 0 or self.peer_answered

    @property
    def peer_answered(self) -> bool:
        """Whether the host at `address`, to which it may have been redirected, has answered."""
        return self._challenged or self._state not in (ClientState.IDLE, ClientState.OPTIONS)

    # -- the dialogue

    def start(self) -> bytes:
        """The first request; call it on a new connection."""
        self._move(ClientInput.START)
        return self._ask("OPTIONS", self._url.wire)

    def receive_data(self, data: bytes) -> None:
        """Take bytes that were read; `b""` says that the camera closed the connection."""
        if self._state is ClientState.IDLE or self._rest is not None:
            raise LocalProtocolError("the handshake is not under way; it takes no data now")
        if data:
            self._client.receive_data(data)
        elif self._state not in (ClientState.PLAYING, ClientState.ENDED):
            asked = self._state.upper()
            self._fail(
                FailureReason.PROTOCOL, f"closed the connection instead of answering {asked}"
            )

    def data_to_send(self) -> bytes:
        """What has become ready to write."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def next_event(self) -> Playing | Redirected | Failed | type_of_need_data:
        """How it ended, once; NEED_DATA before and after."""
        while self._result is None and self._state not in (
            ClientState.IDLE,
            ClientState.PLAYING,
            ClientState.ENDED,
        ):
            try:
                event = self._client.next_event()
                if event is NEED_DATA:
                    return NEED_DATA
                self._handle(event)
            except RtspError as error:
                self._fail(FailureReason.PROTOCOL, f"broke the protocol: {error}")
        result, self._result = self._result, None
        return NEED_DATA if result is None else result

    def rest(self) -> bytes:
        """Bytes that were read past the answer to PLAY: the first interleaved packets."""
        if self._state is not ClientState.PLAYING or self._rest is not None:
            raise LocalProtocolError("rest() is to be called once, after Playing")
        self._rest = bytes(self._early) + self._client.take_rest()
        self._early.clear()
        return self._rest

    def _handle(self, event: Answered | Called | RawFrame) -> None:
        match event:
            case RawFrame():
                self._handle_frame(event)
            case Called():
                self._out += self._client.answer(event.request)
            case Answered():
                self._handle_answer(event.request, event.response)

    def _handle_frame(self, early: RawFrame) -> None:
        """Packets before the answer to PLAY (quirk 14) are kept when they are ours."""
        if self._state is not ClientState.PLAY:
            return
        self._quirks.add(Quirk.DATA_BEFORE_PLAY)
        ours = any(early.channel in (m.rtp_channel, m.rtcp_channel) for m in self._media)
        if ours and len(self._early) + len(early.data) <= self._limits.max_unread:
            self._early += early.data

    def _handle_answer(self, request: Request, response: Response) -> None:
        if response.status == 401:
            self._handle_challenge(request, response)
        elif 300 <= response.status < 400:
            self._handle_redirect(request, response)
        elif self._state is ClientState.OPTIONS:
            self._described_next(response)
        elif self._state is ClientState.SETUP:
            self._handle_setup(response)
        elif response.status >= 300:
            self._refuse(request, response)
        elif self._state is ClientState.DESCRIBE:
            self._handle_description(response)
        else:
            self._handle_play(response)

    def _handle_challenge(self, request: Request, response: Response) -> None:
        signer = self._client.authenticator
        challenges = response.headers.get_all("WWW-Authenticate")
        if len(challenges) > 1:
            self._quirks.add(Quirk.SEVERAL_CHALLENGES)
        if signer is None:
            self._fail(
                FailureReason.UNAUTHORIZED,
                "wants a user and a password; put them into its URL",
            )
        elif not signer.challenged(challenges) or self._challenged:
            self._fail(
                FailureReason.UNAUTHORIZED,
                "refused the user or the password (401); check both in its URL",
            )
        else:
            self._challenged = True
            self._move(ClientInput.CHALLENGED)
            self._out += self._client.send(request)

    def _handle_redirect(self, request: Request, response: Response) -> None:
        location = response.headers.get("Location")
        if not location:
            self._refuse(request, response)
            return
        self._redirects += 1
        if self._redirects > MAX_REDIRECTS:
            self._fail(
                FailureReason.REDIRECT_LOOP,
                f"redirected more than {MAX_REDIRECTS} times; give the final URL",
            )
            return
        try:
            target = absolute(location, self._url)
        except LocalProtocolError:
            self._fail(
                FailureReason.PROTOCOL, f"redirected to {shown(location)}, which is no camera URL"
            )
            return
        self._quirks |= self._client.quirks | {Quirk.REDIRECTED}
        self._url = target
        if target.credentials is not None:
            self._credentials, self._first_url = target.credentials, target
        self._reset()
        self._move(ClientInput.REDIRECTED)
        self._result = Redirected(address=self.address, tls=self.tls, url=self.url)

    def _described_next(self, response: Response) -> None:
        """Any answer to OPTIONS will do: some cameras know no OPTIONS (quirk 4)."""
        if response.status >= 300:
            self._quirks.add(Quirk.NO_OPTIONS)
        methods = ",".join(response.headers.get_all("Public"))
        self._public = frozenset(word.strip().upper() for word in methods.split(","))
        self._advance(ClientInput.ANSWERED)
        accept = Headers.of(accept="application/sdp")
        self._out += self._ask("DESCRIBE", self._url.wire, accept)

    def _handle_description(self, response: Response) -> None:
        offer = read_offer(response, self._url, self._wanted)
        self._sdp, self._offer, self._todo = response.body, offer, list(offer.media)
        self._quirks |= offer.quirks
        if not self._todo:
            self._fail(
                FailureReason.UNSUPPORTED,
                f"offers no medium that can be recorded (it offers: {shown(offer.offered)}); "
                "check the path of its URL",
            )
            return
        self._advance(ClientInput.ANSWERED)
        self._set_up_next()

    def _set_up_next(self) -> None:
        medium = self._todo[0]
        channel = self._free_channel()
        transport = Headers.of(transport=asked_transport(channel))
        self._out += self._ask("SETUP", join_control(self._offer.base, medium.control), transport)

    def _free_channel(self) -> int:
        """The next pair of channels, or the first free one; 32 media cannot touch all 128."""
        taken = {c for m in self._media for c in (m.rtp_channel, m.rtcp_channel)}
        pairs: list[int] = [2 * len(self._media), *range(0, 256, 2)]
        return next(channel for channel in pairs if not taken & {channel, channel + 1})

    def _handle_setup(self, response: Response) -> None:
        medium = self._todo.pop(0)
        if response.status >= 300:
            self._quirks.add(Quirk.SETUP_REFUSED)
            self._refused = self._refused or _status(response)
        else:
            self._take_session(response)
            self._take_medium(medium, response)
        if self._state is not ClientState.SETUP:
            return
        if self._todo:
            self._advance(ClientInput.MORE_MEDIA)
            self._set_up_next()
        elif not self._media:
            self._fail(
                FailureReason.UNSUPPORTED if "461" in self._refused else FailureReason.REFUSED,
                f"answered {self._refused} to SETUP over TCP; check that it allows RTP over TCP",
            )
        else:
            self._advance(ClientInput.MEDIA_SET_UP)
            # Parrot plays only with a range (quirk 11).
            self._out += self._ask("PLAY", self._offer.aggregate, Headers.of(range="npt=0.000-"))

    def _take_session(self, response: Response) -> None:
        session, timeout_s = parse_session(response.headers.get("Session"))
        if self._client.session is None:
            self._client.session = session
            self._note((Quirk.NO_SESSION_TIMEOUT, session is not None and timeout_s is None))
        elif session is not None and session != self._client.session:
            self._quirks.add(Quirk.CHANGED_SESSION)  # the first one is used (quirk 7)
        self._timeout_s = timeout_s or self._timeout_s

    def _take_medium(self, medium: SdpMedia, response: Response) -> None:
        asked = self._free_channel()
        answered = read_transport(response.headers.get("Transport"), asked)
        if answered is None:
            self._fail(
                FailureReason.UNSUPPORTED,
                "answered SETUP with UDP though TCP was asked for; allow RTP over TCP on it",
            )
            return
        rtp, rtcp = answered.rtp_channel, answered.rtcp_channel
        taken = {c for m in self._media for c in (m.rtp_channel, m.rtcp_channel)}
        if rtp in taken or rtcp in taken:
            rtp, rtcp = asked, asked + 1
        self._quirks |= answered.quirks
        self._media.append(
            MediaSetup(
                index=len(self._media),
                media=medium.media,
                codec=medium.codec,
                payload_type=medium.payload_type,
                clock_rate=medium.clock_rate,
                channels=medium.channels,
                rtp_channel=rtp,
                rtcp_channel=rtcp,
                fmtp=medium.fmtp,
            )
        )

    def _handle_play(self, response: Response) -> None:
        self._take_session(response)
        self._note((Quirk.NO_RTP_INFO, response.headers.get("RTP-Info") is None))
        self._move(ClientInput.ANSWERED)
        self._keep_alive = KeepAlive(
            self._client, self._offer.aggregate, self._public, self._timeout_s
        )
        self._result = Playing(
            sdp=self._sdp, media=tuple(self._media), session_timeout_s=self._timeout_s
        )

    # -- while it plays

    def hear(self, message: bytes) -> bytes:
        """Take an RTSP message found between frames; the bytes to write, mostly none."""
        return b"" if self._keep_alive is None else self._keep_alive.hear(message)

    def keep_alive(self, now_us: int) -> bytes | None:
        """A keep-alive to write, when one is due; the first call starts the clock."""
        if self._keep_alive is None or self._state is not ClientState.PLAYING:
            return None
        return self._keep_alive.due(now_us)

    def next_deadline_us(self) -> int | None:
        """When `keep_alive` is due next."""
        return None if self._keep_alive is None else self._keep_alive.deadline_us

    def teardown(self) -> bytes:
        """The farewell (quirk 10): write it once, do not wait for its answer."""
        session = self._client.session
        over = self._state is ClientState.ENDED
        self._move(ClientInput.TEARDOWN)
        if session is None or over:
            return b""
        return self._client.send(Request(method="TEARDOWN", url=self._offer.aggregate))

    # -- small things

    def _ask(self, method: str, url: str, headers: Headers = NO_HEADERS) -> bytes:
        return self._client.send(Request(method=method, url=url, headers=headers))

    def _advance(self, given: ClientInput) -> None:
        """The next request: it may be challenged anew."""
        self._challenged = False
        self._move(given)

    def _move(self, given: ClientInput) -> None:
        following = CLIENT.get((self._state, given))
        if following is None:
            raise LocalProtocolError(
                f"a handshake that is in state {self._state} cannot take {given!s}"
            )
        self._state = following

    def _note(self, *met: tuple[Quirk, bool]) -> None:
        self._quirks.update(quirk for quirk, yes in met if yes)

    def _refuse(self, request: Request, response: Response) -> None:
        answer = _status(response)
        if response.status in (404, 410):
            reason, cure = FailureReason.NOT_FOUND, "check the path of its URL"
        else:
            reason, cure = FailureReason.REFUSED, "see what the camera's own log says"
        self._fail(reason, f"answered {answer} to {request.method}; {cure}")

    def _fail(self, reason: FailureReason, what: str) -> None:
        self._move(ClientInput.FAILED)
        self._result = Failed(reason=reason, text=f"camera {self.url} {what}")

    def check_invariants(self) -> None:
        """For tests: what holds after every call."""
        self._client.check_invariants()
        channels = [c for m in self._media for c in (m.rtp_channel, m.rtcp_channel)]
        assert len(channels) == len(set(channels))
        assert all(0 <= c < 256 for c in channels)
        assert [m.index for m in self._media] == list(range(len(self._media)))
        assert len(self._early) <= self._limits.max_unread
        assert (self._keep_alive is not None) <= (
            self._state in (ClientState.PLAYING, ClientState.ENDED)
        )
        assert self._redirects <= MAX_REDIRECTS + 1


def _status(response: Response) -> str:
    reason = response.reason or REASONS.get(response.status, "")
    return f"{response.status} {shown(reason)[1:-1]}".strip()
