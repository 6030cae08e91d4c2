import pytest
from tests.fakes.pieces import GATE, piece, session

from kilocam.core import CameraKey, Gap, GapCause, PieceFlag
from kilocam.record.errors import FormatError
from kilocam.record.format import (
    Kind,
    Origin,
    gap_of,
    gap_payload,
    leaf_matches,
    pack_piece,
    pack_record,
    piece_of,
    session_of,
    session_payload,
    unpack_header,
)


def test_a_piece_comes_back_as_it_was_stored() -> None:
    stored = piece(
        keyed=True, complexity=1.25e9, sampled=7, flags=PieceFlag.LOST | PieceFlag.DISCONTINUITY
    )
    header = unpack_header(pack_piece(Origin(GATE, 5, 1), 99, stored))
    assert piece_of(header, stored.payload) == stored
    assert (header.sequence, header.epoch, header.key) == (99, 5, GATE)
    assert header.length == header.header_length + len(stored.payload)
    assert leaf_matches(header, stored.payload)
    assert not leaf_matches(header, stored.payload[:-1] + b"?")


def test_a_session_comes_back_with_an_sdp_of_any_bytes() -> None:
    stored = session()
    assert session_of(session_payload(stored)) == stored


def test_a_gap_comes_back() -> None:
    gap = Gap(start_us=5, end_us=9, cause=GapCause.DISK_FULL, detail='no "room"')
    assert gap_of(gap_payload(gap)) == gap


def test_a_gap_with_a_cause_of_a_later_version_is_unknown_and_names_it() -> None:
    payload = gap_payload(Gap(start_us=5, end_us=9, cause=GapCause.SILENT, detail="x"))
    gap = gap_of(payload.replace(b"silent", b"eclipse"))
    assert gap == Gap(start_us=5, end_us=9, cause=GapCause.UNKNOWN, detail="eclipse: x")


@pytest.mark.parametrize("at", [0, 4, 5, 8, 16, 40, 100, 150, 156, 160])
def test_an_altered_header_is_refused(at: int) -> None:
    header = bytearray(pack_piece(Origin(GATE, 5, 1), 99, piece()))
    header[at] ^= 1
    with pytest.raises(FormatError):
        unpack_header(bytes(header))


def test_a_header_of_a_later_version_says_so() -> None:
    header = bytearray(pack_piece(Origin(GATE, 5, 1), 99, piece()))
    header[4] = 2
    with pytest.raises(FormatError, match="format version 2; this reader knows 1"):
        unpack_header(bytes(header))


def test_a_cut_header_is_refused() -> None:
    header = pack_piece(Origin(GATE, 5, 1), 99, piece())
    for length in range(len(header)):
        with pytest.raises(FormatError):
            unpack_header(header[:length])


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"\xff", b'{"tracks": 3}', b"null"])
def test_payloads_that_are_no_session_or_gap_are_refused(payload: bytes) -> None:
    with pytest.raises(FormatError):
        session_of(payload)
    with pytest.raises(FormatError):
        gap_of(payload)


def test_a_record_of_the_file_belongs_to_no_camera() -> None:
    header = unpack_header(pack_record(Origin(None, 3, 0), Kind.MARK, 7, b"12345678"))
    assert (header.tenant, header.camera, header.kind) == ("", "", Kind.MARK)


def test_pieces_keep_the_longest_ids() -> None:
    key = CameraKey(tenant="t" * 63, camera="c" * 63)
    assert unpack_header(pack_piece(Origin(key, 1, 1), 1, piece(key))).key == key
