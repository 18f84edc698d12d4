"""A picture in HEVC without any loss: every block holds its samples as they are (pcm_flag), so it needs no transform.

No library at hand writes HEVC. The syntax is that of ITU-T H.265, 7.3; the arithmetic coder is that of 9.3.4.
"""

import struct
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

BLOCK = 32
VPS, SPS, PPS, IDR = 32, 33, 34, 19
# How likely the less probable symbol is, for the ten first states (table 9-52): a picture has nine blocks at most.
LESS_PROBABLE = (
    (128, 176, 208, 240), (128, 167, 197, 227), (128, 158, 187, 216), (123, 150, 178, 205), (116, 142, 169, 195),
    (111, 135, 160, 185), (105, 128, 152, 175), (100, 122, 144, 166), (95, 116, 137, 158), (90, 110, 130, 150),
)  # fmt: skip


class Hevc(NamedTuple):
    """A coded picture: the content of its `hvcC` box, and that of its item."""

    configuration: bytes
    payload: bytes


class Bits:
    def __init__(self) -> None:
        self.bits: list[int] = []

    def u(self, count: int, number: int) -> None:
        self.bits += [number >> at & 1 for at in range(count)[::-1]]

    def ue(self, *numbers: int) -> None:
        for number in numbers:
            length = (number + 1).bit_length()
            self.u(2 * length - 1, number + 1)

    def flags(self, *flags: int) -> None:
        self.bits += flags

    def end(self) -> None:
        self.bits.append(1)
        self.align()

    def align(self) -> None:
        self.bits += [0] * (-len(self.bits) % 8)

    def data(self) -> bytes:
        return np.packbits(np.array(self.bits, np.uint8)).tobytes()


class Coder:
    """The arithmetic coder, of which a block needs one symbol with a context, always the more probable one."""

    def __init__(self, bits: Bits) -> None:
        self._bits = bits
        self._state = 0
        self.restart()

    def restart(self) -> None:
        self._low, self._range, self._first, self._outstanding = 0, 510, True, 0

    def probable(self) -> None:
        self._range -= LESS_PROBABLE[self._state][self._range >> 6 & 3]
        self._state += 1
        self._renormalize()

    def terminate(self, last: bool) -> None:
        self._range -= 2
        if not last:
            self._renormalize()
            return
        self._low += self._range
        self._range = 2
        self._renormalize()
        self._put(self._low >> 9 & 1)
        self._bits.u(2, self._low >> 7 & 3 | 1)
        self._bits.align()

    def _renormalize(self) -> None:
        while self._range < 256:
            if self._low < 256:
                self._put(0)
            elif self._low >= 512:
                self._low -= 512
                self._put(1)
            else:
                self._low -= 256
                self._outstanding += 1
            self._range <<= 1
            self._low <<= 1

    def _put(self, bit: int) -> None:
        if self._first:
            self._first = False
        else:
            self._bits.flags(bit)
        self._bits.flags(*[1 - bit] * self._outstanding)
        self._outstanding = 0


def hevc(planes: list[Array], depth: int = 8, full: bool = True, matrix: int = 6) -> Hevc:
    """Codes Y, or Y, Cb and Cr, whose size tells the subsampling; at most 96 pixels a side."""
    height, width = planes[0].shape
    across, down = (width // planes[1].shape[1], height // planes[1].shape[0]) if len(planes) > 1 else (1, 1)
    chroma = {(1, 1): 3, (2, 1): 2, (2, 2): 1}[across, down] if len(planes) > 1 else 0
    profile = 4 if chroma != 1 else 3 if depth == 8 else 2
    sets = [
        _unit(VPS, _video_set(profile)),
        _unit(SPS, _sequence_set(profile, chroma, (width, height), (across, down), depth, full, matrix)),
        _unit(PPS, _picture_set()),
    ]
    slice = _unit(IDR, _slice(planes, (across, down), depth))
    tier = _tier(profile).data()
    head = b"\1" + tier + b"\xf0\0\xfc" + bytes([0xFC | chroma, 0xF8 | depth - 8, 0xF8 | depth - 8]) + b"\0\0\x0f\3"
    arrays = b"".join(
        bytes([0x80 | kind]) + struct.pack(">HH", 1, len(unit)) + unit
        for kind, unit in zip((VPS, SPS, PPS), sets, strict=True)
    )
    return Hevc(head + arrays, struct.pack(">I", len(slice)) + slice)


def _unit(kind: int, content: bytes) -> bytes:
    """A unit of the network layer: three bytes that would look like a start are told apart by a byte 3."""
    out, zeros = bytearray(), 0
    for byte in content:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes([kind << 1, 1]) + bytes(out)


def _tier(profile: int) -> Bits:
    bits = Bits()
    bits.u(8, profile)
    bits.u(32, 1 << (31 - profile) | (profile == 3) << 29 | (profile == 3) << 30)
    # A progressive picture of frames only; the constraints of the range extensions stay open.
    bits.flags(1, 0, 0, 1)
    bits.u(44, 0)
    bits.u(8, 93)
    return bits


def _video_set(profile: int) -> bytes:
    bits = Bits()
    bits.u(4, 0)
    bits.flags(1, 1)
    bits.u(6, 0)
    bits.u(3, 0)
    bits.flags(1)
    bits.u(16, 0xFFFF)
    bits.bits += _tier(profile).bits
    bits.flags(1)
    bits.ue(0, 0, 0)
    bits.u(6, 0)
    bits.ue(0)
    bits.flags(0, 0)
    bits.end()
    return bits.data()


def _sequence_set(
    profile: int, chroma: int, size: tuple[int, int], step: tuple[int, int], depth: int, full: bool, matrix: int
) -> bytes:
    bits = Bits()
    bits.u(4, 0)
    bits.u(3, 0)
    bits.flags(1)
    bits.bits += _tier(profile).bits
    bits.ue(0, chroma)
    if chroma == 3:
        bits.flags(0)
    coded = [side + -side % BLOCK for side in size]
    bits.ue(*coded)
    bits.flags(1)
    bits.ue(0, (coded[0] - size[0]) // step[0], 0, (coded[1] - size[1]) // step[1])
    bits.ue(depth - 8, depth - 8, 4)
    bits.flags(1)
    bits.ue(0, 0, 0)
    # Blocks of 32, transforms of 4 to 32, none of which is used.
    bits.ue(2, 0, 0, 3, 0, 0)
    bits.flags(0, 0, 0)
    bits.flags(1)
    bits.u(4, depth - 1)
    bits.u(4, depth - 1)
    bits.ue(2, 0)
    bits.flags(1)
    bits.ue(0)
    bits.flags(0, 0, 0)
    # How the colors are meant: primaries of BT.709 and the curve of sRGB.
    bits.flags(1, 0, 0, 1)
    bits.u(3, 5)
    bits.flags(int(full), 1)
    bits.u(8, 1)
    bits.u(8, 13)
    bits.u(8, matrix)
    bits.flags(0, 0, 0, 0, 0, 0, 0)
    bits.flags(0)
    bits.end()
    return bits.data()


def _picture_set() -> bytes:
    bits = Bits()
    bits.ue(0, 0)
    bits.u(7, 0)
    bits.ue(0, 0, 0)
    bits.flags(0, 0, 0)
    bits.ue(0, 0)
    bits.flags(0, 0, 0, 0, 0, 0, 0)
    # No filter between blocks.
    bits.flags(1, 0, 1, 0, 0)
    bits.ue(0)
    bits.flags(0, 0)
    bits.end()
    return bits.data()


def _slice(planes: list[Array], step: tuple[int, int], depth: int) -> bytes:
    bits = Bits()
    bits.flags(1, 0)
    bits.ue(0, 2, 0)
    bits.end()
    steps = [(1, 1)] + [step] * (len(planes) - 1)
    padded = [_padded(plane, *each) for plane, each in zip(planes, steps, strict=True)]
    places = [(y, x) for y in range(0, padded[0].shape[0], BLOCK) for x in range(0, padded[0].shape[1], BLOCK)]
    coder = Coder(bits)
    for y, x in places:
        coder.probable()
        coder.terminate(True)
        for plane, (across, down) in zip(padded, steps, strict=True):
            block = plane[y // down : (y + BLOCK) // down, x // across : (x + BLOCK) // across].ravel()
            bits.bits += (block[:, None] >> np.arange(depth)[::-1] & 1).ravel().tolist()
        coder.restart()
        coder.terminate((y, x) == places[-1])
    return bits.data()


def _padded(plane: Array, across: int, down: int) -> Array:
    """The plane continued to a multiple of the block's size."""
    high, wide = BLOCK // down, BLOCK // across
    return np.pad(plane, ((0, -plane.shape[0] % high), (0, -plane.shape[1] % wide)), mode="edge").astype(np.int32)
