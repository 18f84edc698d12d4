"""The contract of archives: rows that a format reads from files, and what is known about their origin."""

import json
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from services.descriptions import AttributeKind, CatalogSpec, Features, Resample
from services.encoders.specs import DEFAULT_ENCODER, DEFAULT_RESAMPLE, DEFAULT_WEIGHTS
from services.errors import EncoderMismatch, InvalidSource
from services.hashes import PERCEPTUAL, SHA256
from services.query.filters import is_key
from services.records import Attributes, Embedding


class About(BaseModel):
    """How the features were computed; None where the archive does not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str | None = None
    weights: str | None = None
    resample: Resample | None = None
    features: Features | None = None
    fingerprint: str | None = None
    indexed_attributes: dict[str, AttributeKind] = {}

    @field_validator("indexed_attributes")
    @classmethod
    def _named(cls, kinds: dict[str, AttributeKind]) -> dict[str, AttributeKind]:
        for name in kinds:
            if not is_key(name):
                raise ValueError(f"{name!r} is no attribute")
        return kinds


@dataclass(frozen=True)
class Archive:
    """An archive that was opened for reading.

    Attributes:
        path: The file or folder.
        format: The name of its format.
        rows: How many products it holds.
        dim: Numbers in each feature vector; None if there are no rows.
        embeddings: Reads the rows from the start, one at a time. Raises `InvalidSource`.
        about: How the features were computed.
        repaired: How many products the script had numbered with a wrong row, which was corrected.
    """

    path: Path
    format: str
    rows: int
    dim: int | None
    embeddings: Callable[[], Generator[Embedding, None, None]]
    about: About = field(default_factory=About)
    repaired: int = 0


class Format(Protocol):
    """A file format of archives."""

    def check(self, product_id: str) -> None:
        """Raises `InvalidProductID` if the format cannot store this product ID."""

    def write(self, embeddings: Iterable[Embedding], folder: Path, spec: CatalogSpec, count: int) -> list[Path]:
        """Writes an archive of `count` embeddings into `folder`. All files appear when all is written, or none does.

        Returns:
            The paths of the files.

        Raises:
            InvalidProductID: The format cannot store a product's ID.
            DataFull: The disk is full.
            DataNotWritable: The folder cannot be written to.
        """

    def read(self, path: Path) -> Archive:
        """Opens an archive; its rows are read later. Raises `InvalidSource` if it is damaged or no archive."""


def checked(archive: Archive) -> Iterator[Embedding]:
    """Yields the rows of an archive and validates them; when the last is read, the archive as a whole is valid.

    Raises:
        InvalidSource: A product occurs twice, a number is not finite, or the number of rows is wrong.
    """
    rows: dict[str, int] = {}
    with closing(archive.embeddings()) as embeddings:
        for row, embedding in enumerate(embeddings, 1):
            first = rows.setdefault(embedding.product_id, row)
            _check_row(archive.path, row, first, embedding)
            yield embedding
    if len(rows) != archive.rows:
        raise InvalidSource(f"{archive.path} says it has {archive.rows} rows and has {len(rows)}; restore it.")


def _check_row(path: Path, row: int, first: int, embedding: Embedding) -> None:
    product_id = embedding.product_id
    if first != row:
        raise InvalidSource(f"Rows {first} and {row} of {path} are both product {product_id!r}; leave one of the two.")
    if not np.isfinite(embedding.features).all():
        raise InvalidSource(
            f"Row {row} of {path}, product {product_id!r}, holds numbers that are not finite; leave it out."
        )


def claimed(about: About, *, encoder: str | None, weights: str | None, resample: Resample | None) -> About:
    """How the features were computed: as the archive says, else as the options say, else as the script did it.

    For weights the option takes precedence: the file may be at another path on this machine, and a known fingerprint
    still detects wrong ones.

    Raises:
        EncoderMismatch: The archive names another encoder or resampling than the options.
    """
    for option, wanted, known in (("encoder", encoder, about.encoder), ("resample", resample, about.resample)):
        if wanted and known and wanted != known:
            raise EncoderMismatch(f"The archive was made with {option} {known}, not {wanted}: leave out --{option}.")
    return about.model_copy(
        update={
            "encoder": about.encoder or encoder or DEFAULT_ENCODER,
            "weights": weights or about.weights or DEFAULT_WEIGHTS,
            "resample": about.resample or resample or DEFAULT_RESAMPLE,
        }
    )


def check_fit(archive: Archive, about: About, spec: CatalogSpec) -> None:
    """Raises `EncoderMismatch` if the features of an archive are not comparable with those of a catalog."""
    if archive.dim not in (None, spec.dim):
        raise EncoderMismatch(
            f"The features in {archive.path} have {archive.dim} numbers, those of {spec.encoder} {spec.features} have "
            f"{spec.dim}: name the encoder they came from with --encoder, or give another --catalog."
        )
    if about.fingerprint and spec.fingerprint:
        theirs, ours = about.fingerprint, spec.fingerprint
    else:
        theirs = f"{about.encoder} {about.features or 'head'} with {about.weights} weights and {about.resample}"
        ours = f"{spec.encoder} {spec.features} with {spec.weights} weights and {spec.resample}"
    if theirs != ours:
        raise EncoderMismatch(
            f"Catalog {spec.name} holds features of {ours}, {archive.path} those of {theirs}: give another --catalog, "
            "or name what made them with --encoder, --weights and --resample where the archive does not say."
        )


def about_json(spec: CatalogSpec) -> str:
    """The metadata that an export of this catalog stores, as JSON."""
    names = About.model_fields
    about = About(**{name: getattr(spec, name) for name in names})
    # Versions that know head features alone read what does not name them.
    return about.model_dump_json(exclude={"features"} if spec.features == "head" else None)


def about_of(text: str | bytes, path: Path) -> About:
    """Parses the metadata of an archive. Raises `InvalidSource`."""
    try:
        return About.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its text"
        raise InvalidSource(
            f"What {path} says of its origin is refused ({where}: {first['msg']}); remove its lookalike metadata, and "
            "name the encoder with --encoder."
        ) from error


def check_complete(path: Path, names: Collection[str], needed: Collection[str], known: Collection[str]) -> None:
    """Raises `InvalidSource` if an archive with an export's metadata lacks a part that every export writes, or has one
    that none writes: its name is damaged then."""
    if missing := [name for name in needed if name not in names]:
        raise InvalidSource(f"{path} is an export without its {missing[0]}, so it is damaged; restore it.")
    if others := [name for name in names if name not in known]:
        raise InvalidSource(
            f"{path} is an export with {others[0]!r}, which this version does not write: it is damaged, or of a newer "
            "Lookalike; restore it, or import it with that."
        )


def attributes_json(attributes: Attributes) -> str:
    """Attributes as JSON text."""
    return json.dumps(dict(attributes), ensure_ascii=False)


def attributes_of(text: str, path: Path, row: int) -> Attributes:
    """Parses the attributes of a row. Raises `InvalidSource` unless they are a JSON object."""
    try:
        attributes = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSource(
            f"The attributes in row {row} of {path} are not valid JSON ({error}); write an object."
        ) from error
    if not isinstance(attributes, dict):
        raise InvalidSource(f"The attributes in row {row} of {path} must be a JSON object.")
    return attributes


def checked_origin(
    image: str | None, perceptual: str | None, url: str | None, path: Path, row: int
) -> tuple[str | None, str | None, str | None]:
    """Returns hashes and URL of a row, None for those that are empty. Raises `InvalidSource`."""
    # The first becomes a file name.
    if image and not SHA256.fullmatch(image):
        raise InvalidSource(f"The image in row {row} of {path} is no SHA-256 in lower-case hex; leave it empty.")
    if perceptual and not PERCEPTUAL.fullmatch(perceptual):
        raise InvalidSource(f"The perceptual hash in row {row} of {path} is not 200 bytes in base64; leave it empty.")
    if url and not url.startswith(("http://", "https://")):
        raise InvalidSource(f"The URL in row {row} of {path} is none (http:// or https://); leave it empty.")
    return image or None, perceptual or None, url or None


def reason(error: Exception) -> str:
    """The message of a library's error, as part of a sentence."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:200].rstrip(".")
