"""Laws of the bitstream parsers: what is written is read; garbage is a typed error, at most."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.bitstream import (
    AudioSpecificConfig,
    BitReader,
    BitstreamError,
    BitWriter,
    H265QpReader,
    QpReader,
    build_avc_config,
    build_h265_config,
    escape,
    is_key,
    join_avcc,
    opus_samples,
    parse_adts,
    parse_audio_config,
    parse_avc_config,
    parse_h265_coding,
    parse_h265_config,
    parse_h265_pps,
    parse_h265_slice,
    parse_h265_sps,
    parse_pps,
    parse_slice_header,
    parse_sps,
    slice_kind,
    split_adts,
    split_annex_b,
    split_avcc,
    unescape,
)

CORPUS = Path(__file__).parents[2] / "fuzz" / "bitstream" / "corpus"
SEEDS = [path.read_bytes() for path in sorted(CORPUS.iterdir())]

# A real pair, 320x240 main profile with explicit weights, for the header parsers.
SPS = (CORPUS / "weights.sps").read_bytes()
PPS = (CORPUS / "weights.pps").read_bytes()
SPS_265 = (CORPUS / "h265-slices.sps").read_bytes()
PPS_265 = (CORPUS / "h265-slices.pps").read_bytes()

nal_bodies = st.binary(min_size=1, max_size=60).map(escape)
nals = st.tuples(st.integers(1, 23), nal_bodies).map(lambda t: bytes((0x60 | t[0],)) + t[1])
garbage = st.binary(max_size=200) | st.sampled_from(SEEDS).flatmap(
    lambda seed: st.tuples(st.integers(0, max(len(seed) - 1, 0)), st.binary(max_size=4)).map(
        lambda t: seed[: t[0]] + t[1] + seed[t[0] + len(t[1]) :]
    )
)

PARSERS: list[Callable[[bytes], object]] = [
    parse_sps, parse_pps, slice_kind, parse_adts, split_adts,
    parse_audio_config, parse_avc_config, parse_h265_config, parse_h265_sps,
    parse_h265_coding, parse_h265_pps,
    split_annex_b, split_avcc, unescape,
    opus_samples,
    lambda data: parse_slice_header(data, parse_sps(SPS), parse_pps(PPS)),
    lambda data: QpReader(SPS, PPS).qp(data),
    lambda data: QpReader(data, PPS).qp(data),
    lambda data: QpReader(SPS, data).qp(data),
    lambda data: parse_h265_slice(data, parse_h265_coding(SPS_265), parse_h265_pps(PPS_265)),
    lambda data: H265QpReader(SPS_265, PPS_265).qp(data),
    lambda data: H265QpReader(data, PPS_265).qp(data),
    lambda data: H265QpReader(SPS_265, data).qp(data),
    lambda data: is_key(split_annex_b(data), recovery_points=True),
    lambda data: build_avc_config(split_annex_b(data)),
    lambda data: build_h265_config(split_annex_b(data)),
]  # fmt: skip


@given(garbage)
@settings(max_examples=300, deadline=None)
def test_garbage_is_read_or_is_a_typed_error(data: bytes) -> None:
    for parse in PARSERS:
        with contextlib.suppress(BitstreamError):
            parse(data)


@pytest.mark.parametrize("seed", SEEDS, ids=[path.name for path in sorted(CORPUS.iterdir())])
def test_every_seed_is_read_or_is_a_typed_error(seed: bytes) -> None:
    for parse in PARSERS:
        for data in (seed, seed[:-1], seed[1:], seed * 50):
            with contextlib.suppress(BitstreamError):
                parse(data)


@given(st.binary(max_size=100))
def test_emulation_prevention_is_undone(data: bytes) -> None:
    escaped = escape(data)
    assert b"\0\0\0" not in escaped
    assert b"\0\0\1" not in escaped
    assert unescape(escaped).rstrip(b"\3") == data.rstrip(b"\3") or unescape(escaped) == data


@given(st.lists(nals, max_size=6))
def test_both_framings_give_back_what_was_framed(units: list[bytes]) -> None:
    assert split_annex_b(b"".join(b"\0\0\0\1" + unit for unit in units)) == units
    assert split_avcc(join_avcc(units)) == units


fields = st.one_of(
    st.tuples(st.just("u"), st.integers(0, 2**20 - 1)),
    st.tuples(st.just("ue"), st.integers(0, 2**32 - 2)),
    st.tuples(st.just("se"), st.integers(-(2**31) + 1, 2**31 - 1)),
)


@given(st.lists(fields, max_size=20))
def test_fields_are_read_as_they_were_written(sequence: list[tuple[str, int]]) -> None:
    writer = BitWriter()
    for code, value in sequence:
        if code == "u":
            writer.u(20, value)
        elif code == "ue":
            writer.ue(value)
        else:
            writer.se(value)
    bits = BitReader(writer.to_bytes())
    read = {"u": lambda: bits.u(20), "ue": bits.ue, "se": bits.se}
    assert [(code, read[code]()) for code, _ in sequence] == sequence


configs = st.builds(
    AudioSpecificConfig,
    object_type=st.sampled_from([1, 2, 3, 4, 6, 17, 23, 39]),
    sample_rate=st.sampled_from([8000, 16000, 44100, 48000, 96000]) | st.integers(1, 2**24 - 1),
    channel_configuration=st.integers(0, 7),
)


@given(configs)
def test_an_audio_config_is_read_as_it_was_built(config: AudioSpecificConfig) -> None:
    assert parse_audio_config(config.to_bytes()) == config
