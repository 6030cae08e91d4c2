"""H.265 headers as the specification lets encoders write them, read back.

No encoder at hand uses all of what cameras may: sets of reference pictures in the sequence
parameter set and told as differences, long-term pictures, changed lists, scaling lists, tiles. So
they are written here, field by field after sections 7.3.2 to 7.3.7, from what Hypothesis draws.
"""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.bitstream import (
    BitWriter,
    H265QpReader,
    H265SliceKind,
    escape,
    parse_h265_coding,
    parse_h265_pps,
    parse_h265_slice,
)

Pictures = list[tuple[int, bool]]
"""Order relative to the current one, used by it; earlier ones first, the nearest of each first."""
Draw = Any
"""Hypothesis' `draw`, whose result has the type of what is drawn from."""

B, P, INTRA = H265SliceKind
IDR, TRAIL, CRA = 19, 1, 21


class Writer(BitWriter):
    """Writes what it draws."""

    def __init__(self, draw: Draw) -> None:
        super().__init__()
        self.draw = draw

    def flag(self, value: bool | None = None) -> bool:
        said = self.draw(st.booleans()) if value is None else value
        self.u(1, said)
        return bool(said)

    def code(self, most: int, least: int = 0) -> int:
        value: int = self.draw(st.integers(least, most))
        self.ue(value)
        return value

    def signed(self, most: int) -> int:
        value: int = self.draw(st.integers(-most, most))
        self.se(value)
        return value

    def field(self, bits: int) -> int:
        value: int = self.draw(st.integers(0, (1 << bits) - 1))
        self.u(bits, value)
        return value

    def nal(self, kind: int) -> bytes:
        self.u(1, 1)  # what follows is not empty
        return bytes((kind << 1, 1)) + escape(self.to_bytes())


class Sequence265:
    """A sequence parameter set, and what slices must know of it."""

    def __init__(self, draw: Draw) -> None:
        out = Writer(draw)
        self.layers = layers = draw(st.integers(0, 2))
        out.u(4, 0)
        out.u(3, layers)
        out.u(1, 1)
        out.u(8, 1)  # Main
        out.u(32, 1 << 30)
        out.u(48, 0)
        out.u(8, 93)
        present = [(out.flag(), out.flag()) for _ in range(layers)]
        out.u(2 * (8 - layers) if layers else 0, 0)
        for profile, level in present:
            out.u(88 * profile + 8 * level, 0)
        out.ue(0)
        self.chroma_format = out.code(3)
        self.separate = self.chroma_format == 3 and out.flag()
        self.chroma = self.chroma_format != 0 and not self.separate
        width, height = (8 * draw(st.integers(9, 250)) for _ in range(2))
        out.ue(width)
        out.ue(height)
        if out.flag():
            for _ in range(4):
                out.code(1)
        out.ue(0)
        out.ue(0)
        self.poc_lsb_bits = 4 + out.code(12)
        for _ in range(layers + 1 if out.flag() else 1):
            out.ue(6)
            out.code(2)
            out.code(5)
        out.ue(0)
        block = 3 + out.code(3, 1)
        for most in (0, 1, 1, 1):
            out.code(most)
        if out.flag() and out.flag():
            write_scaling_lists(out)
        out.flag()
        self.offsets = out.flag()
        if out.flag():
            out.u(8, 0x77)
            out.ue(0)
            out.ue(0)
            out.flag()
        self.sets: list[Pictures] = []
        count = out.code(6)
        for _ in range(count):
            self.sets.append(write_set(out, self.sets, in_slice=False))
        self.long_term = out.flag()
        self.long_term_used: list[bool] = []
        if self.long_term:
            for _ in range(out.code(4)):
                out.field(self.poc_lsb_bits)
                self.long_term_used.append(out.flag())
        self.temporal_mvp = out.flag()
        out.u(3, 0)
        self.blocks = -(-width // (1 << block)) * -(-height // (1 << block))
        self.nal = out.nal(33)


class Picture265:
    """A picture parameter set, and what slices must know of it."""

    def __init__(self, draw: Draw) -> None:
        out = Writer(draw)
        self.id = out.code(63)
        out.ue(0)
        self.dependent, self.output = out.flag(), out.flag()
        self.extra = out.field(3)
        out.flag()
        self.cabac_init = out.flag()
        self.refs = [out.code(14) + 1, out.code(14) + 1]
        self.init_qp = 26 + out.signed(25)
        out.u(2, 0)
        if out.flag():
            out.code(1)
        out.signed(12)
        out.signed(12)
        out.flag()
        self.weighted = {P: out.flag(), B: out.flag()}
        out.flag()
        tiles = out.flag()
        out.flag()
        if tiles:
            columns, rows = out.code(3), out.code(3)
            if not out.flag(columns + rows == 0):
                for _ in range(columns + rows):
                    out.code(1)
            out.flag()
        out.flag()
        if out.flag():
            out.flag()
            if not out.flag():
                out.signed(6)
                out.signed(6)
        if out.flag():
            write_scaling_lists(out)
        self.lists_modification = out.flag()
        out.ue(0)
        out.u(2, 0)
        self.nal = out.nal(34)


def write_scaling_lists(out: Writer) -> None:
    for size in range(4):
        for matrix in range(0, 6, 3 if size == 3 else 1):
            if not out.flag():
                out.ue(min(matrix // (3 if size == 3 else 1), out.draw(st.integers(0, 5))))
            else:
                if size > 1:
                    out.signed(7)
                for _ in range(min(64, 1 << (4 + (size << 1)))):
                    out.se(0)


def write_set(out: Writer, known: Sequence[Pictures], *, in_slice: bool) -> Pictures:
    """st_ref_pic_set(), by equations 7-61 and 7-62 as they stand there."""
    if known and out.flag():
        back = out.code(len(known) - 1) + 1 if in_slice else 1
        negative, distance = out.flag(), out.code(3) + 1
        shift = -distance if negative else distance
        other = known[-back]
        used, use = [], []
        for _ in range(len(other) + 1):
            used.append(out.flag())
            use.append(used[-1] or out.flag())
        return shifted(other, shift, used, use)
    earlier, later = out.code(3), out.code(3)
    pictures: Pictures = []
    for count, sign in ((earlier, -1), (later, 1)):
        at = 0
        for _ in range(count):
            at += sign * (out.code(2) + 1)
            pictures.append((at, out.flag()))
    return pictures


def shifted(other: Pictures, shift: int, used: list[bool], use: list[bool]) -> Pictures:
    earlier = [(n, at) for n, (at, _) in enumerate(other) if at < 0]
    later = [(n, at) for n, (at, _) in enumerate(other) if at > 0]
    itself = len(other)
    before: Pictures = []
    for n, at in reversed(later):
        if at + shift < 0 and use[n]:
            before.append((at + shift, used[n]))
    if shift < 0 and use[itself]:
        before.append((shift, used[itself]))
    for n, at in earlier:
        if at + shift < 0 and use[n]:
            before.append((at + shift, used[n]))
    after: Pictures = []
    for n, at in reversed(earlier):
        if at + shift > 0 and use[n]:
            after.append((at + shift, used[n]))
    if shift > 0 and use[itself]:
        after.append((shift, used[itself]))
    for n, at in later:
        if at + shift > 0 and use[n]:
            after.append((at + shift, used[n]))
    return before + after


def write_slice(draw: Draw, sps: Sequence265, pps: Picture265) -> tuple[bytes, H265SliceKind, int]:
    out = Writer(draw)
    unit: int = draw(st.sampled_from([TRAIL, IDR, CRA]))
    first = out.flag()
    if unit != TRAIL:
        out.flag()
    out.ue(pps.id)
    if not first:
        if pps.dependent:
            out.u(1, 0)
        out.u((sps.blocks - 1).bit_length(), draw(st.integers(0, sps.blocks - 1)))
    out.field(pps.extra)
    kind = H265SliceKind(draw(st.sampled_from([B, P, INTRA] if unit == TRAIL else [INTRA])))
    out.ue(kind)
    if pps.output:
        out.flag()
    if sps.separate:
        out.u(2, 1)
    used, temporal_mvp = 0, False
    if unit != IDR:
        out.field(sps.poc_lsb_bits)
        if out.flag(None if sps.sets else False):
            index = draw(st.integers(0, len(sps.sets) - 1))
            out.u((len(sps.sets) - 1).bit_length(), index)
            chosen = sps.sets[index]
        else:
            chosen = write_set(out, sps.sets, in_slice=True)
        used = sum(use for _, use in chosen)
        if sps.long_term:
            used += write_long_term(out, sps)
        temporal_mvp = sps.temporal_mvp and out.flag()
    if sps.offsets:
        out.flag()
        if sps.chroma:
            out.flag()
    if kind != INTRA:
        write_prediction(out, sps, pps, kind, used, temporal_mvp)
    qp = out.signed(30)
    out.field(16)
    return out.nal(unit), kind, pps.init_qp + qp


def write_long_term(out: Writer, sps: Sequence265) -> int:
    listed = out.code(2) if sps.long_term_used else 0
    own, used = out.code(2), 0
    for _ in range(listed):
        index = out.draw(st.integers(0, len(sps.long_term_used) - 1))
        out.u((len(sps.long_term_used) - 1).bit_length(), index)
        used += sps.long_term_used[index]
        if out.flag():
            out.code(5)
    for _ in range(own):
        out.field(sps.poc_lsb_bits)
        used += out.flag()
        if out.flag():
            out.code(5)
    return used


def write_prediction(
    out: Writer,
    sps: Sequence265,
    pps: Picture265,
    kind: H265SliceKind,
    used: int,
    temporal_mvp: bool,
) -> None:
    lists = 2 if kind == B else 1
    refs = pps.refs[:lists]
    if out.flag():
        refs = [out.code(14) + 1 for _ in range(lists)]
    if pps.lists_modification and used > 1:
        for count in refs:
            if out.flag():
                for _ in range(count):
                    out.field((used - 1).bit_length())
    if kind == B:
        out.flag()
    if pps.cabac_init:
        out.flag()
    if temporal_mvp:
        from_l0 = out.flag() if kind == B else True
        if refs[0 if from_l0 else 1] > 1:
            out.ue(0)
    if pps.weighted[kind]:
        out.code(7)
        if sps.chroma:
            out.signed(3)
        for count in refs:
            luma = [out.flag() for _ in range(count)]
            chroma = [out.flag() if sps.chroma else False for _ in range(count)]
            for number in range(count):
                for _ in range(2 * luma[number] + 4 * chroma[number]):
                    out.signed(9)
    out.code(4)


@settings(deadline=None)
@given(st.data())
def test_whatever_stands_before_the_quantiser_it_is_found(data: st.DataObject) -> None:
    sps, pps = Sequence265(data.draw), Picture265(data.draw)
    coding, picture = parse_h265_coding(sps.nal), parse_h265_pps(pps.nal)
    assert [list(one) for one in coding.ref_pic_sets] == sps.sets
    assert coding.long_term_used == tuple(sps.long_term_used)
    reader = H265QpReader(sps.nal, pps.nal)
    for _ in range(3):
        nal, kind, qp = write_slice(data.draw, sps, pps)
        header = parse_h265_slice(nal, coding, picture)
        assert (header.kind, header.qp) == (kind, qp)
        assert [reader.qp(nal), reader.qp(nal)] == [qp, qp]
