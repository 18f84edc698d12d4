"""Hostile images: whatever the file, the decoding child stays within its limits and the outcome has a type."""

import importlib.util
import random
import re
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from bombs import bombs
from image_files import FORMATS, photo, plain, png_of, samples, saved
from picture_matrix import cases
from PIL import Image

from services import settings
from services.descriptions import Form
from services.errors import ImageError
from services.hashes import PERCEPTUAL
from services.images.decoder import Decoder
from services.images.limits import Limits
from services.signatures import SIGNATURES

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]

FUZZER = Path(__file__).parent.parent / "support" / "fuzz_images.py"
SECONDS = 10.0
MEMORY = 1 << 30


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def in_png(*chunks: bytes) -> bytes:
    """A sound PNG with chunks more before its pixels."""
    data = saved(photo(), "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def in_jpeg(*segments: tuple[int, bytes]) -> bytes:
    """A sound JPEG with segments more at its beginning."""
    data = saved(photo(), "JPEG")
    more = b"".join(struct.pack(">BBH", 0xFF, kind, len(body) + 2) + body for kind, body in segments)
    return data[:2] + more + data[2:]


def floods() -> Iterator[tuple[str, bytes]]:
    """Metadata without end, and metadata that unpacks to much."""
    many = zlib.compress(bytes(50_000_000), 9)
    yield "PNG, 20,000 texts", in_png(*[chunk(b"tEXt", b"k%d\0v" % n) for n in range(20_000)])
    yield "PNG, a text that unpacks to 50 MB", in_png(chunk(b"zTXt", b"k\0\0" + many))
    yield "PNG, 100 of them", in_png(*[chunk(b"zTXt", b"k%d\0\0" % n + many) for n in range(100)])
    yield "PNG, an international one", in_png(chunk(b"iTXt", b"k\0\1\0\0\0" + many))
    yield "PNG, a profile that unpacks to 50 MB", in_png(chunk(b"iCCP", b"p\0\0" + many))
    yield "PNG, EXIF of 5 MB", in_png(chunk(b"eXIf", b"II*\0" + bytes(5_000_000)))
    yield "PNG, chunks nobody knows", in_png(*[chunk(b"teSt", bytes(100)) for _ in range(20_000)])
    yield "JPEG, 5,000 comments", in_jpeg(*[(0xFE, b"x" * 60)] * 5_000)
    yield "JPEG, 300 EXIFs", in_jpeg(*[(0xE1, b"Exif\0\0II*\0" + bytes(60_000))] * 300)
    parts = [(0xE2, b"ICC_PROFILE\0" + bytes([n, 255]) + bytes(60_000)) for n in range(1, 256)]
    yield "JPEG, profile in 255 parts", in_jpeg(*parts)
    yield "JPEG, 300 of Photoshop's", in_jpeg(*[(0xED, b"Photoshop 3.0\x008BIM" + bytes(60_000))] * 300)
    yield "JPEG, multi-picture", in_jpeg((0xE2, b"MPF\0II*\0\x08\0\0\0" + struct.pack("<H", 65_535) + bytes(60_000)))
    tags = b"".join(struct.pack("<HHII", 1 + n % 65_000, 2, 1 << 30, 8) for n in range(65_535))
    yield "TIFF, 65,535 tags of a gigabyte", b"II*\0\x08\0\0\0" + struct.pack("<H", 65_535) + tags + bytes(4)
    big = struct.pack("<HHIHHI", 0x4949, 0x2B, 8, 0, 16, 0)
    yield "BigTIFF, tags without end", big[:8] + struct.pack("<QQ", 16, 1 << 60) + bytes(1000)
    webp = saved(photo(), "WEBP", exif=b"Exif\0\0II*\0" + bytes(1_000_000), xmp=bytes(1_000_000))
    yield "WebP, EXIF and XMP", webp


def frames() -> Iterator[tuple[str, bytes]]:
    """Ten thousand frames, and pages that never end."""
    small = [Image.fromarray(np.full((4, 4), n % 256, np.uint8)) for n in range(10_000)]
    yield "GIF", saved(small[0], "GIF", save_all=True, append_images=small[1:])
    yield "PNG", saved(small[0], "PNG", save_all=True, append_images=small[1:])
    yield "WebP", saved(small[0].convert("RGB"), "WEBP", save_all=True, append_images=small[1:500])
    yield "TIFF", saved(small[0], "TIFF", save_all=True, append_images=small[1:1000])
    tiff = bytearray(saved(photo(), "TIFF"))
    first = struct.unpack_from("<I", tiff, 4)[0]
    after = first + 2 + 12 * struct.unpack_from("<H", tiff, first)[0]
    tiff[after : after + 4] = struct.pack("<I", first)
    yield "TIFF, its next page is this one", bytes(tiff)


def under_the_limit() -> Iterator[tuple[str, bytes]]:
    """As many pixels as are allowed, in few bytes: what a bomb is that no header gives away."""
    side = 7071
    yield "PNG", saved(plain(200, "L", (side, side)), "PNG", compress_level=9)
    yield "PNG, RGBA", saved(plain((200, 0, 0, 51), "RGBA", (side, side)), "PNG", compress_level=1)
    yield "PNG without its pixels", png_of(side, side)
    yield "GIF", saved(plain(1, "P", (side, side)), "GIF")
    yield "TIFF, LZW", saved(plain(7, "L", (side, side)), "TIFF", compression="tiff_lzw")
    yield "TIFF, deflate, 16 bits", saved(plain(7, "I;16", (side, side)), "TIFF", compression="tiff_adobe_deflate")
    yield "JPEG, progressive", saved(plain(200, "L", (side, side)), "JPEG", progressive=True)
    yield "WebP, one line", saved(plain((9, 9, 9), "RGB", (16_383, 3)), "WEBP", lossless=True)
    yield "PNG, one line", saved(plain(9, "1", (50_000_000 // 8, 8)), "PNG")


def odd() -> Iterator[tuple[str, bytes]]:
    """Kinds of numbers that hardly anybody uses."""
    for mode in ("1", "L", "LA", "P", "PA", "RGBA", "CMYK", "I;16", "I", "F"):
        for format in FORMATS:
            image = photo(mode) if mode not in ("I;16", "I", "F", "PA") else plain(3, mode, (9, 9))
            try:
                yield f"{mode} as {format}", saved(image, format)
            except (OSError, ValueError, KeyError):
                continue
    yield "YCbCr", saved(photo("YCbCr"), "TIFF")
    yield "LAB", saved(photo("LAB"), "TIFF")
    for bits in (1, 2, 4):
        yield f"{bits} bits", saved(photo().quantize(1 << bits), "PNG", bits=bits)


def fixed() -> Iterator[tuple[str, bytes]]:
    yield from ((f"bomb: {name}", data) for name, data in bombs().items())
    yield from ((f"flood: {name}", data) for name, data in floods())
    yield from ((f"frames: {name}", data) for name, data in frames())
    yield from ((f"large: {name}", data) for name, data in under_the_limit())
    yield from ((f"odd: {name}", data) for name, data in odd())


def sound_files() -> list[tuple[str, bytes]]:
    """One of everything, and every fiftieth picture of the matrix."""
    return [*samples(), *((case.name, case.make()) for case in list(cases())[::50])]


def endless(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Files cut at every sixteenth, with another format's beginning, and damaged anywhere."""
    sound = sound_files()
    for name, data in sound:
        for sixteenth in range(16):
            yield f"cut: {name}", data[: len(data) * sixteenth // 16]
        for signature in SIGNATURES:
            yield f"magic: {name}", signature + data[len(signature) :]
    while True:
        name, data = rng.choice(sound)
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 12)):
            at = rng.randrange(len(damaged))
            match rng.randrange(4):
                case 0:
                    damaged[at] = rng.randrange(256)
                case 1:
                    damaged[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"])
                case 2:
                    damaged[at:at] = damaged[at : at + rng.randint(1, 200)]
                case _:
                    del damaged[at : at + rng.randint(1, 50)]
            damaged = damaged or bytearray(b"x")
        yield f"damaged: {name}", bytes(damaged)


def files(rng: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """So many, those of each kind among them."""
    some = list(fixed())
    yield from some
    rest = endless(rng)
    # Where few are wanted, some of each kind: the cut and mistaken ones are 25 a file.
    step = max(1, 25 * len(sound_files()) // (count - len(some)))
    for _ in range(count - len(some)):
        for _ in range(step):
            each = next(rest)
        yield each


def peak(pid: int) -> int:
    """The most memory that a process has had, in bytes; 0 for one that is gone."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) * 1024 if found else 0


def test_every_file_has_an_outcome_within_the_limits(
    rng: random.Random, scale: Callable[..., int], record_property: Callable[[str, object], None]
) -> None:
    """With the limits that the service has by default. The child that decodes may end; this process does not."""
    count, given = scale(2000, 300), settings.load()
    limits = Limits(given.max_image_bytes, given.max_image_pixels)
    outcomes: Counter[str] = Counter()
    slowest, largest = (0.0, ""), (0, "")
    with Decoder(1, given.decode_timeout, given.decode_memory, limits) as decoder:
        as_pixels = partial(decoder.submit_hashed, form=Form(299, "bicubic"))
        for name, data in files(rng, count):
            for submit in (as_pixels, decoder.submit_thumbnail, decoder.submit_size):
                began = time.monotonic()
                try:
                    made = submit(data).result()
                    assert (
                        isinstance(made, bytes)
                        or isinstance(made[0], int)
                        or (made[0].shape == (299, 299, 3) and PERCEPTUAL.fullmatch(made[1]))
                    )
                    outcomes["made"] += 1
                except ImageError as error:
                    assert str(error).endswith((".", "_BYTES.", "_PIXELS.", "_MEMORY.", "_TIMEOUT."))
                    outcomes[error.code] += 1
                slowest = max(slowest, (time.monotonic() - began, name))
                largest = max([largest, *((peak(pid), name) for pid in decoder._children.pids())])
        sound = decoder.submit(saved(photo(), "PNG"), Form(299, "nearest")).result()
    record_property("outcomes", dict(outcomes))
    record_property("slowest", slowest)
    record_property("most memory", largest)
    assert sound.shape == (299, 299, 3) and sum(outcomes.values()) == 3 * count
    # The parent's clock and the child's end take a moment more.
    assert slowest[0] <= SECONDS + 0.5 and largest[0] <= MEMORY
    assert {"made", "image_corrupt", "image_unsupported", "image_too_many_pixels"} <= outcomes.keys()


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="there is no atheris for this machine")
def test_fuzzing_finds_nothing_but_pixels_and_image_errors(
    tmp_path: Path, rng: random.Random, scale: Callable[..., int], record_property: Callable[[str, object], None]
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    small = ((name, data) for name, data in fixed() if len(data) < 20_000)
    pictures = ((case.name, case.make()) for case in cases())
    for number, (_, data) in enumerate([*samples(), *small, *pictures]):
        (corpus / str(number)).write_bytes(data)
    seconds = scale(1800, 25)
    bounds = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024", "-max_len=65536"]
    own = [f"-seed={rng.getrandbits(31)}", f"-artifact_prefix={tmp_path}/"]
    # Linux counts the most memory that a parent had to what it starts (vfork and exec), and libFuzzer goes by that. A
    # shell between them has had little.
    command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, str(FUZZER), *own, *bounds, str(corpus)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120, cwd=tmp_path)
    told = re.findall(r"#(\d+)\s.*cov: (\d+)", done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]
    (_, first), (runs, last) = told[0], told[-1]
    record_property("runs, coverage", (int(runs), int(first), int(last)))
    assert int(runs) > 100 and int(last) > int(first)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="there is no atheris for this machine")
def test_the_fuzzer_sees_an_error_without_a_type(tmp_path: Path) -> None:
    """The control: one that takes our own errors for unexpected ones ends at the first."""
    code = FUZZER.read_text().replace("except ImageError as error:", "except MemoryError as error:")
    (tmp_path / "broken.py").write_text(code)
    (tmp_path / "bad").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    command = [sys.executable, str(tmp_path / "broken.py"), str(tmp_path / "bad")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode != 0 and "ImageCorrupt" in done.stderr + done.stdout
