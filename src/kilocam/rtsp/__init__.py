"""The camera protocol: RTSP, SDP, RTP and RTCP as values and machines, client and server.

Owns: messages, authentication, the handshake, interleaved framing, session descriptions, packets,
    and the catalogue of what cameras do differently.
Never does: sockets, clocks, random numbers; they come as arguments.
Start reading at: `handshake.py`, then `server.py`, then `streamreader.py`; `docs/design/rtsp.md`
    has the whole face.
"""

from kilocam.rtsp.depacketize import AccessUnit, Depacketizer, UnitKind
from kilocam.rtsp.depacketize_aac import aac_config
from kilocam.rtsp.depacketize_h264 import is_key_start, sprop_parameter_sets
from kilocam.rtsp.depacketize_h265 import (
    H265_SPROPS,
    h265_parameter_sets,
    has_decoding_order_numbers,
)
from kilocam.rtsp.depacketize_nal import aggregated
from kilocam.rtsp.deviations import ServerQuirk
from kilocam.rtsp.errors import LocalProtocolError, RemoteProtocolError, RtspError
from kilocam.rtsp.handshake import Handshake
from kilocam.rtsp.interleaved import (
    Demultiplexer,
    Frame,
    Message,
    Resync,
    Skipped,
    frame,
    resync,
)
from kilocam.rtsp.messages import NEED_DATA, Limits
from kilocam.rtsp.outcome import Failed, FailureReason, MediaSetup, Playing, Redirected
from kilocam.rtsp.packetize import packetize_aac, packetize_h264, packetize_h265
from kilocam.rtsp.quirks import Quirk
from kilocam.rtsp.rtcp import SenderReport, parse_sender_reports
from kilocam.rtsp.rtp import RtpPacket, SequenceTracker, TimestampUnwrapper, build_rtp, parse_rtp
from kilocam.rtsp.sdp import Sdp, SdpMedia, build_sdp, parse_sdp
from kilocam.rtsp.server import (
    Description,
    PlayRequested,
    RtpInfo,
    RtspServer,
    ServedTrack,
    TornDown,
)
from kilocam.rtsp.streamreader import SenderClock, StreamReader, depacketizer_for
from kilocam.rtsp.sync import SYNC_PERIOD_US, SYNC_WINDOW_US, Sync, measure_sync
from kilocam.rtsp.url import CameraUrl, Credentials, parse_url

__all__ = [
    "H265_SPROPS",
    "NEED_DATA",
    "SYNC_PERIOD_US",
    "SYNC_WINDOW_US",
    "AccessUnit",
    "CameraUrl",
    "Credentials",
    "Demultiplexer",
    "Depacketizer",
    "Description",
    "Failed",
    "FailureReason",
    "Frame",
    "Handshake",
    "Limits",
    "LocalProtocolError",
    "MediaSetup",
    "Message",
    "PlayRequested",
    "Playing",
    "Quirk",
    "Redirected",
    "RemoteProtocolError",
    "Resync",
    "RtpInfo",
    "RtpPacket",
    "RtspError",
    "RtspServer",
    "Sdp",
    "SdpMedia",
    "SenderClock",
    "SenderReport",
    "SequenceTracker",
    "ServedTrack",
    "ServerQuirk",
    "Skipped",
    "StreamReader",
    "Sync",
    "TimestampUnwrapper",
    "TornDown",
    "UnitKind",
    "aac_config",
    "aggregated",
    "build_rtp",
    "build_sdp",
    "depacketizer_for",
    "frame",
    "h265_parameter_sets",
    "has_decoding_order_numbers",
    "is_key_start",
    "measure_sync",
    "packetize_aac",
    "packetize_h264",
    "packetize_h265",
    "parse_rtp",
    "parse_sdp",
    "parse_sender_reports",
    "parse_url",
    "resync",
    "sprop_parameter_sets",
]
