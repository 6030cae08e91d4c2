"""What H.265 slice headers and their parameter sets must not make us believe."""

from dataclasses import replace
from pathlib import Path

import pytest

from kilocam.bitstream import (
    BitstreamError,
    BitWriter,
    H265Coding,
    H265Pps,
    H265QpReader,
    H265SliceKind,
    escape,
    parse_h265_coding,
    parse_h265_pps,
    parse_h265_slice,
)

CORPUS = Path(__file__).parents[2] / "fuzz" / "bitstream" / "corpus"
SPS = (CORPUS / "h265-slices.sps").read_bytes()
PPS = (CORPUS / "h265-slices.pps").read_bytes()
CODING = H265Coding(
    sps_id=0, separate_planes=False, chroma=True, poc_lsb_bits=8, address_bits=5, offsets=False,
    ref_pic_sets=(((-1, True),), ((-1, True), (-2, True))), long_term=False, long_term_used=(),
    temporal_mvp=False,
)  # fmt: skip
PICTURE = H265Pps(
    id=0, sps_id=0, dependent_slices=False, output_flag=False, extra_bits=0, cabac_init=False,
    refs_l0=1, refs_l1=1, init_qp=26, weighted=False, weighted_bipred=False,
    lists_modification=False,
)  # fmt: skip


def _slice(*fields: tuple[str, int], kind: int = 1) -> bytes:
    bits = BitWriter()
    for code, value in fields:
        if code == "ue":
            bits.ue(value)
        elif code == "se":
            bits.se(value)
        else:
            bits.u(int(code), value)
    bits.u(1, 1)
    return bytes((kind << 1, 1)) + escape(bits.to_bytes())


FIRST = (("1", 1), ("ue", 0))
P = ("ue", 1)
FROM_SPS = (("8", 7), ("1", 1), ("1", 1))
"""Picture order 7; the second set of reference pictures."""
PREDICTED = (("1", 0), ("ue", 0))
"""As many references as usual; as many merge candidates."""


def test_a_set_of_the_sequence_parameter_set_is_named_by_its_number() -> None:
    nal = _slice(*FIRST, P, *FROM_SPS, *PREDICTED, ("se", 5))
    header = parse_h265_slice(nal, CODING, PICTURE)
    assert (header.kind, header.poc_lsb, header.qp) == (H265SliceKind.P, 7, 31)


def test_a_dependent_slice_segment_has_no_quantiser() -> None:
    picture = replace(PICTURE, dependent_slices=True)
    with pytest.raises(BitstreamError, match="dependent"):
        parse_h265_slice(_slice(("1", 0), ("ue", 0), ("1", 1), ("5", 3), P), CODING, picture)
    nal = _slice(("1", 0), ("ue", 0), ("1", 0), ("5", 3), P, *FROM_SPS, *PREDICTED, ("se", 5))
    assert parse_h265_slice(nal, CODING, picture).qp == 31


def test_changed_lists_are_stepped_over_where_there_is_something_to_change() -> None:
    picture = replace(PICTURE, lists_modification=True)
    changed = (("1", 0), ("1", 1), ("1", 1), ("ue", 0))
    nal = _slice(*FIRST, P, *FROM_SPS, *changed, ("se", -5))
    assert parse_h265_slice(nal, CODING, picture).qp == 21
    alone = _slice(*FIRST, P, ("8", 7), ("1", 1), ("1", 0), *PREDICTED, ("se", -5))
    assert parse_h265_slice(alone, CODING, picture).qp == 21


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ((("1", 1), ("ue", 4), P), "picture parameter set 4; 0 is at hand"),
        ((*FIRST, ("ue", 3)), "slice_type 3"),
        ((*FIRST, P, ("8", 7), ("1", 0), ("1", 0), ("ue", 9), ("ue", 8)), "16 is the limit"),
        ((*FIRST, P, ("8", 7), ("1", 0), ("1", 1), ("ue", 2)), "3 before the current"),
        ((*FIRST, P, *FROM_SPS, ("1", 1), ("ue", 15)), "out of range"),
        ((*FIRST, P, *FROM_SPS), "left"),
    ],
)
def test_what_cannot_be_is_refused(fields: tuple[tuple[str, int], ...], said: str) -> None:
    with pytest.raises(BitstreamError, match=said):
        parse_h265_slice(_slice(*fields), CODING, PICTURE)


@pytest.mark.parametrize("nal", [b"", b"\2", SPS, b"\3\1" + bytes(20), b"\2\x09" + bytes(20)])
def test_what_is_no_slice_of_the_base_layer_is_refused(nal: bytes) -> None:
    with pytest.raises(BitstreamError, match="not an"):
        parse_h265_slice(nal, CODING, PICTURE)


def test_a_set_that_is_not_there_is_refused() -> None:
    three = replace(CODING, ref_pic_sets=CODING.ref_pic_sets * 2)
    coding = replace(three, ref_pic_sets=three.ref_pic_sets[:3])
    nal = _slice(*FIRST, P, ("8", 7), ("1", 1), ("2", 3), *PREDICTED, ("se", 5))
    with pytest.raises(BitstreamError, match="set 3 is not there"):
        parse_h265_slice(nal, coding, PICTURE)


def test_parameter_sets_of_another_kind_or_cut_off_are_refused() -> None:
    for parse, nal, other in ((parse_h265_coding, SPS, PPS), (parse_h265_pps, PPS, SPS)):
        for bad in (b"", other, nal[:4]):
            with pytest.raises(BitstreamError):
                parse(bad)


def test_a_profile_for_screens_is_not_read() -> None:
    screens = SPS[:3] + bytes((SPS[3] & 0xE0 | 9,)) + SPS[4:]
    with pytest.raises(BitstreamError, match="screen"):
        parse_h265_coding(screens)


def test_sets_that_do_not_belong_together_give_no_quantiser() -> None:
    nal = (CORPUS / "h265-slices-p.slice").read_bytes()
    assert H265QpReader(SPS, PPS).qp(nal) is not None
    bits = BitWriter()
    bits.ue(0)
    bits.ue(1)  # of sequence parameter set 1
    rest = 8 * len(PPS[2:]) - 2
    bits.u(rest, int.from_bytes(PPS[2:], "big") & ((1 << rest) - 1))
    other = PPS[:2] + bits.to_bytes()
    assert parse_h265_pps(other).sps_id == 1
    for sps, pps in ((SPS, b""), (b"", PPS), (SPS, other)):
        reader = H265QpReader(sps, pps)
        assert not reader.usable
        assert reader.qp(nal) is None
