#!/usr/bin/env python3
"""Turns one camera's footage of a Kilocam log file into MP4, without Kilocam.

    kcw2mp4.py FILE.kcw [--camera TENANT/CAMERA] [-o OUT.mp4]

Needs Python 3.8 and, for MP4, `ffmpeg`; without it OUT.h264 and OUT.aac are left, which players
open. Understands H.264 and AAC; frames get the file's mean frame rate. The bytes are explained in
docs/design/log.md, "The format"; this script is that section's proof.
"""
# ruff: noqa: ANN001, ANN201, ANN204

import argparse
import base64
import json
import re
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

HEADER = struct.Struct("<4sBBHIIQQQqQqqiIIIdQ12s32sBBH")
PIECE, SESSION, AAC = 1, 2, "mpeg4-generic"
START_CODE = b"\0\0\0\1"


def records(file):
    """(kind, "tenant/camera", payload) of each record; stops at the first torn one."""
    while len(head := file.read(HEADER.size)) == HEADER.size:
        fields = HEADER.unpack(head)
        magic, _, kind, header_length, payload_length = fields[:5]
        head += file.read(header_length - HEADER.size)
        (checksum,) = struct.unpack("<I", head[-4:])
        payload = file.read(payload_length)
        whole = magic == b"\xc5KCW" and zlib.crc32(head[:-4]) == checksum
        if not whole or len(payload) < payload_length:
            return
        middle = HEADER.size + fields[21]
        name = head[HEADER.size : middle] + b"/" + head[middle:-4]
        yield kind, name.decode(), payload


def rtp_packets(payload):
    """(channel, RTP payload, timestamp) of each `$`-framed packet."""
    at = 0
    while at + 4 <= len(payload):
        _, channel, length = struct.unpack_from(">BBH", payload, at)
        packet, at = payload[at + 4 : at + 4 + length], at + 4 + length
        if len(packet) < 12 or packet[0] >> 6 != 2:
            continue
        start = 12 + 4 * (packet[0] & 15)
        if packet[0] & 16 and len(packet) >= start + 4:
            start += 4 + 4 * struct.unpack_from(">H", packet, start + 2)[0]
        end = len(packet) - (packet[-1] if packet[0] & 32 else 0)
        yield channel, packet[start:end], struct.unpack_from(">I", packet, 4)[0]


class Video:
    """RFC 6184: NAL units out of RTP, written with start codes."""

    def __init__(self, track, out):
        self.out, self.part, self.started, self.times = out, b"", False, set()
        found = re.search(r"sprop-parameter-sets=([^;\s]+)", track["fmtp"])
        self.sets = [base64.b64decode(x + "==") for x in found[1].split(",")] if found else []

    def take(self, data, timestamp):
        kind = data[0] & 31 if data else 0
        if 1 <= kind <= 23:
            self.write(data, timestamp)
        elif kind == 24:  # STAP-A: several, each with its length
            at = 1
            while at + 2 <= len(data):
                (length,) = struct.unpack_from(">H", data, at)
                self.write(data[at + 2 : at + 2 + length], timestamp)
                at += 2 + length
        elif kind == 28 and len(data) > 2:  # FU-A: one in parts
            if data[1] & 0x80:
                self.part = bytes([data[0] & 0xE0 | data[1] & 31])
            if self.part:
                self.part += data[2:]
            if data[1] & 0x40 and self.part:
                self.write(self.part, timestamp)
                self.part = b""

    def write(self, nal, timestamp):
        kind = nal[0] & 31 if nal else 0
        if not self.started and kind not in (5, 7):
            return  # nothing can be decoded before the first key frame
        if kind in (1, 5):
            self.times.add(timestamp)
        self.out.write(b"".join(START_CODE + x for x in ([] if self.started else self.sets)))
        self.out.write(START_CODE + nal)
        self.started = True

    def rate(self):
        spread = max(self.times) - min(self.times) if self.times else 0
        return 90000 * (len(self.times) - 1) / spread if 0 < spread < 1 << 31 else 25


class Audio:
    """RFC 3640 (AAC-hbr): access units out of RTP, written with ADTS headers."""

    def __init__(self, track, out):
        config = re.search(r"config=([0-9A-Fa-f]{4})", track["fmtp"])
        bits = int(config[1], 16) if config else 0x1210  # AAC-LC, 44.1 kHz, stereo
        profile, rate, channels = bits >> 11, bits >> 7 & 15, bits >> 3 & 15
        self.out = out
        self.fixed = 0xFFF1 << 40 | profile - 1 << 38 | rate << 34 | channels << 30

    def take(self, data, _):
        at = 2 + (struct.unpack_from(">H", data)[0] + 7) // 8 if len(data) > 2 else 0
        for header in range(2, at - 1, 2):
            length = struct.unpack_from(">H", data, header)[0] >> 3
            adts = self.fixed | length + 7 << 13 | 0x7FF << 2
            self.out.write(adts.to_bytes(7, "big") + data[at : at + length])
            at += length


def extract(file, camera, outputs):
    """Writes elementary streams; the options ffmpeg needs to read those that are not empty."""
    readers, video = {}, None
    with outputs[0].open("wb") as pictures, outputs[1].open("wb") as sound:
        for kind, name, payload in records(file):
            if name == camera and kind == SESSION:
                tracks = {t["rtp_channel"]: t for t in json.loads(payload)["tracks"]}
                readers = {c: Audio(t, sound) for c, t in tracks.items() if t["codec"] == AAC}
                for channel in (c for c, t in tracks.items() if t["codec"] == "h264"):
                    readers[channel] = video = video or Video(tracks[channel], pictures)
            elif name == camera and kind == PIECE:
                for channel, data, timestamp in rtp_packets(payload):
                    if channel in readers:
                        readers[channel].take(data, timestamp)
    options = (["-r", f"{video.rate():.4f}"] if video else [], [])
    pairs = zip(options, outputs)  # noqa: B905 - Python 3.8
    return [x for flags, out in pairs if out.stat().st_size for x in (*flags, "-i", str(out))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--camera", help="TENANT/CAMERA; default: the first in the file")
    parser.add_argument("-o", "--output", default="out.mp4", type=Path)
    options = parser.parse_args()
    outputs = [options.output.with_suffix(end) for end in (".h264", ".aac")]
    with Path(options.file).open("rb") as file:
        cameras = sorted({name for kind, name, _ in records(file) if kind == PIECE})
        camera = options.camera or (cameras or [""])[0]
        if camera not in cameras:
            sys.exit(f"{options.file}: no footage of {camera or 'any camera'}; has: {cameras}")
        file.seek(0)
        inputs = extract(file, camera, outputs)
    if inputs and shutil.which("ffmpeg"):
        command = ["ffmpeg", "-v", "error", "-y", *inputs, "-c", "copy", str(options.output)]
        subprocess.run(command, check=True)
    for out in outputs:
        if not out.stat().st_size or shutil.which("ffmpeg"):
            out.unlink()
    found = [str(out) for out in (options.output, *outputs) if out.exists()]
    print(f"{camera}: wrote {' '.join(found) or 'nothing: neither H.264 nor AAC'}")


if __name__ == "__main__":
    main()
