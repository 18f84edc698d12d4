"""The file format of a backup: a tar whose last member, the manifest, has the checksums of the others.

changes/N.jsonl                     unfinished changes, in the order in which they were accepted
catalogs/NAME/N.vectors.npy         float32, shape (n, dim)
catalogs/NAME/N.products.jsonl      the n products of these vectors
catalogs/NAME/N.tombstones.jsonl    removed products
originals/SHA256                    images
objects/SHA256                      what tuned features have learned, and what else belongs to a catalog: its space,
                                    directions, findings, decisions
manifest-SHA256.json                counts, and the SHA-256 of every member but the images

Members have a few megabytes, which bounds the memory that writing and reading take.
"""

import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.descriptions import (
    AttributeKind,
    CatalogSpec,
    Features,
    Quantization,
    Resample,
    to_directions,
    to_findings,
)
from services.errors import InvalidSource
from services.hashes import PERCEPTUAL, SHA256
from services.records import ChangeKind, Lane, Vectors

FORMAT = 2
"""The version of the file format, increased by incompatible changes; v0.1 wrote 1, whose products have no perceptual
hash and no URL, and whose catalogs have head features."""
READ = range(1, FORMAT + 1)
AT_ONCE = 500
"""Maximum number of products, or changes, in one member."""

BLOCK = 512
END = bytes(2 * BLOCK)

ORIGINAL = re.compile(r"originals/([0-9a-f]{64})")
OBJECT = re.compile(r"objects/([0-9a-f]{64})")
CHANGES = re.compile(r"changes/\d{8}\.jsonl")
PART = re.compile(r"catalogs/([a-z0-9_-]+)/(\d{8})\.(vectors\.npy|products\.jsonl|tombstones\.jsonl)")
_MANIFEST = re.compile(r"manifest-([0-9a-f]{64})\.json")
_HASHED = re.compile(r"(?:originals/|objects/|manifest-)([0-9a-f]{64})(?:\.json)?$")

Sha256 = Annotated[str, Field(pattern=rf"^{SHA256.pattern}$")]
Version = Annotated[int, Field(ge=0, lt=2**53)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChangeLine(_Strict):
    """An unfinished change; `catalog` is the ID of its catalog, `job` that of its job."""

    catalog: str
    job: str
    lane: Lane
    product_id: str
    kind: ChangeKind
    version: Version
    image_url: str | None = None
    image: Sha256 | None = None
    attributes: dict[str, Any] | None = None
    refuse_duplicates: bool = False


class ProductLine(_Strict):
    """A product: the fields of a `Point` without the vector."""

    product_id: str
    version: Version
    norm: float
    attributes: dict[str, Any]
    image: Sha256 | None = None
    perceptual: Annotated[str, Field(pattern=rf"^{PERCEPTUAL.pattern}$")] | None = None
    url: str | None = None


class TombstoneLine(_Strict):
    """A removed product: the fields of a `Tombstone`."""

    product_id: str
    version: Version
    removed_at: float


class DirectionEntry(_Strict):
    """A direction of a catalog: see `LearnedDirection`."""

    name: str
    object: Sha256
    fingerprint: str | None
    quality: float
    color_weight: float
    positives: int
    negatives: int
    categories: int
    products: int
    created_at: str
    learned_at: str


class FindingEntry(_Strict):
    """What was found of a catalog: see `Finding`."""

    name: str
    object: Sha256
    fingerprint: str | None
    products: int
    version: int
    found_at: str
    cursor: str | None


class CatalogEntry(_Strict):
    """The description of a catalog, and counts. `max_version` is the highest version among its products, tombstones and
    unfinished changes."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    encoder: str
    weights: str
    resample: Resample
    dim: int
    fingerprint: str | None
    created_at: str
    indexed_attributes: dict[str, AttributeKind]
    quantization: Quantization
    features: Features = "head"
    learned: Sha256 | None = None
    space: Sha256 | None = None
    directions: tuple[DirectionEntry, ...] = ()
    findings: tuple[FindingEntry, ...] = ()
    decisions: Sha256 | None = None
    products: int
    tombstones: int
    max_version: Version

    @model_validator(mode="after")
    def _learned(self) -> Self:
        if (self.features == "tuned") != (self.learned is not None):
            raise ValueError("tuned features, and no others, have learned something")
        return self

    @classmethod
    def of(cls, spec: CatalogSpec, **counts: int) -> "CatalogEntry":
        described = {name: getattr(spec, name) for name in cls.model_fields if hasattr(spec, name)}
        described["directions"] = tuple(DirectionEntry(**asdict(each)) for each in spec.directions)
        described["findings"] = tuple(FindingEntry(**asdict(each)) for each in spec.findings)
        return cls(**described, **counts)

    @property
    def objects(self) -> tuple[str, ...]:
        """The objects without which it cannot be restored: a space and findings are made anew."""
        alone = (each for each in (self.learned, self.decisions) if each)
        return (*alone, *(each.object for each in self.directions))

    @property
    def spec(self) -> CatalogSpec:
        """The description of the catalog, without the generation: creating the catalog assigns one."""
        described = self.model_dump(exclude={"products", "tombstones", "max_version", "directions", "findings"})
        directions = to_directions(each.model_dump() for each in self.directions)
        findings = to_findings(each.model_dump() for each in self.findings)
        return CatalogSpec(**described, directions=directions, findings=findings, generation="")


class Manifest(_Strict):
    """The contents of a backup. `made_by` is the version of Lookalike, `created_at` RFC 3339 in UTC."""

    format: int
    made_by: str
    created_at: str
    catalogs: list[CatalogEntry]
    changes: int
    originals: int
    members: dict[str, Sha256]

    @property
    def products(self) -> int:
        return sum(each.products for each in self.catalogs)


Line = TypeVar("Line", bound=_Strict)


class Packer:
    """Writes a tar as a stream of bytes, member by member."""

    def __init__(self, seconds: float) -> None:
        self._seconds = int(seconds)
        self.hashes: dict[str, str] = {}

    def add(self, name: str, data: bytes) -> Iterator[bytes]:
        """Yields the bytes of a member, and records its hash for the manifest."""
        self.hashes[name] = sha256(data).hexdigest()
        return self._member(name, data)

    def add_original(self, hash: str, data: bytes) -> Iterator[bytes]:
        """Yields the bytes of an image, whose name contains its hash."""
        return self._member(f"originals/{hash}", data)

    def end(self, manifest: Manifest) -> Iterator[bytes]:
        """Yields the bytes of the manifest and the end of the file."""
        data = manifest.model_dump_json(indent=1).encode()
        yield from self._member(f"manifest-{sha256(data).hexdigest()}.json", data)
        yield END

    def _member(self, name: str, data: bytes) -> Iterator[bytes]:
        about = tarfile.TarInfo(name)
        about.size, about.mtime, about.mode = len(data), self._seconds, 0o600
        yield about.tobuf(tarfile.USTAR_FORMAT)
        yield data
        yield bytes(-len(data) % BLOCK)


def jsonl(lines: list[Line]) -> bytes:
    """Serializes models, one line of JSON each."""
    return "".join(each.model_dump_json() + "\n" for each in lines).encode()


def lines(kind: type[Line], name: str, data: bytes) -> list[Line]:
    """Parses lines of JSON into models. Raises `InvalidSource`."""
    try:
        return [kind.model_validate_json(line) for line in data.splitlines()]
    except ValidationError as error:
        raise InvalidSource(f"{name} of the backup has an invalid line ({_first(error)}).") from error


def npy(vectors: Vectors) -> bytes:
    """Serializes an array in the npy format."""
    out = BytesIO()
    np.save(out, vectors, allow_pickle=False)
    return out.getvalue()


def array(name: str, data: bytes) -> Vectors:
    """Parses an array in the npy format. Raises `InvalidSource`."""
    try:
        found = np.load(BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InvalidSource(f"{name} of the backup is not a numpy array.") from error
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype != np.float32:
        raise InvalidSource(f"{name} of the backup does not hold vectors.")
    return found


def unpacked(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yields name and bytes of each member of a backup, in order. Raises `InvalidSource` if the file is damaged."""
    try:
        with tarfile.open(path, "r:") as tar:
            while (about := tar.next()) is not None:
                # tarfile keeps every member that it has read, which would grow with the backup.
                tar.members.clear()  # type: ignore[attr-defined]
                content = tar.extractfile(about) if about.isreg() else None
                data = content.read() if content else b""
                if content is None or len(data) != about.size:
                    raise InvalidSource(f"{path} is damaged at {about.name!r}: take another backup.")
                yield about.name, data
    except tarfile.TarError as error:
        raise InvalidSource(f"{path} is not a backup, or it is damaged ({error}): take another.") from error
    except OSError as error:
        raise InvalidSource(f"{path} cannot be read ({error.strerror or error}); check the path.") from error


def verified(path: Path) -> Manifest:
    """Reads a whole backup, checks it against its manifest and returns the manifest.

    Raises:
        InvalidSource: The file is damaged, incomplete, no backup, or of another format.
    """
    hashes: dict[str, str] = {}
    originals = 0
    manifest: Manifest | None = None
    for name, data in unpacked(path):
        hash = sha256(data).hexdigest()
        if manifest:
            raise InvalidSource(f"{path} has {name!r} after its manifest, so Lookalike did not write it.")
        if (found := _HASHED.match(name)) and found[1] != hash:
            raise InvalidSource(f"{path} is damaged at {name!r}, whose bytes have changed: take another backup.")
        if ORIGINAL.fullmatch(name) or _MANIFEST.fullmatch(name):
            if name.startswith("manifest"):
                manifest = _manifest(path, data)
            originals += not manifest
        else:
            hashes[name] = hash
    if manifest is None:
        raise InvalidSource(f"{path} has no manifest at its end, so it is incomplete: take another backup.")
    wrong = {*hashes.items()} ^ {*manifest.members.items()}
    lacking = [each.name for each in manifest.catalogs for hash in each.objects if f"objects/{hash}" not in hashes]
    if lacking:
        raise InvalidSource(
            f"{path} lacks what the features or a direction of catalog {lacking[0]} have learned, or its decisions: "
            "take another backup."
        )
    if wrong or originals != manifest.originals:
        at = f"{min(wrong)[0]!r}" if wrong else "its originals"
        raise InvalidSource(f"{path} is damaged at {at}, which changed or is missing: take another backup.")
    return manifest


def _manifest(path: Path, data: bytes) -> Manifest:
    try:
        found = json.loads(data)
        if isinstance(found, dict) and found.get("format") not in READ:
            raise InvalidSource(
                f"{path} is a backup of format {found.get('format')} made by Lookalike {found.get('made_by')}, and "
                f"this version reads formats up to {FORMAT}: restore it with that version."
            )
        return Manifest.model_validate(found)
    except ValidationError as error:
        raise InvalidSource(f"The manifest of {path} is invalid ({_first(error)}).") from error
    except ValueError as error:
        raise InvalidSource(f"The manifest of {path} is not valid JSON.") from error


def _first(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc'])) or 'its text'}: {fault['msg']}"
