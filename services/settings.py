"""Every setting, its default and its meaning. Each is an environment variable: LOOKALIKE_ and its name."""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.descriptions import Resample as Resample
from services.errors import InvalidSetting

Precision = Literal["auto", "float32", "bfloat16", "float16"]
MediaKeep = Literal["all", "none"]


class Settings(BaseSettings):
    """Configuration of a process, read from the environment. What belongs to a catalog is stored with the catalog."""

    model_config = SettingsConfigDict(env_prefix="LOOKALIKE_", extra="ignore", frozen=True, env_ignore_empty=True)

    data: Path = Field(Path("lookalike-data"), description="The data folder: catalogs, vectors and originals.")
    precision: Precision = Field(
        "auto",
        description="Precision of the encoder: float32, bfloat16, float16, or auto, which is float16 on a GPU, "
        "else bfloat16 if the processor has AVX512_BF16 or AMX, else float32. Without a GPU, float16 is for tests: "
        "most processors are slow at it.",
    )
    batch_size: int = Field(64, ge=1, le=1024, description="Batch size: images that are encoded and written together.")
    decode_processes: int = Field(
        0,
        ge=0,
        le=256,
        description="Child processes that decode images; 0: one for each processor. Workers on one host share its "
        "processors: give each of n workers an n-th of them.",
    )
    decode_timeout: float = Field(10.0, gt=0, le=3600, description="Seconds that decoding one image may take.")
    decode_memory: int = Field(
        1 << 30,
        ge=256 << 20,
        description="Bytes of address space that a decoding process may use for an image, itself included.",
    )
    max_image_bytes: int = Field(25_000_000, ge=1, description="Maximum size of an image file in bytes.")
    max_feed_bytes: int = Field(
        1_000_000_000, ge=1, description="Maximum size of the body of a feed of changes in bytes."
    )
    max_image_pixels: int = Field(50_000_000, ge=1, description="Maximum number of pixels in an image.")
    media: str = Field(
        "",
        description="Where originals are stored: a folder, or the URL of a bucket (s3://...); empty: the data folder.",
    )
    media_keep: MediaKeep = Field("all", description="Which originals are stored: all or none.")
    min_free_bytes: int = Field(
        256 << 20, ge=64 << 20, description="Free bytes on the disk below which writes are refused."
    )
    redis_url: str = Field(
        "",
        description="Redis for the queue and the ledger, redis:// or unix://; empty: one that the service starts.",
    )
    qdrant_url: str = Field(
        "",
        pattern=r"^$|^https?://[^\s/@]+(/\S*)?$",
        description="Qdrant server for the vectors, http:// or https://; empty: an index in this process.",
    )
    qdrant_api_key: SecretStr = Field(SecretStr(""), description="API key of the Qdrant server.")
    qdrant_ca_file: Path | None = Field(
        None,
        description="File of CA certificates (PEM) to verify the Qdrant server with; empty: the public CAs.",
    )
    qdrant_grpc_port: int = Field(
        0,
        ge=0,
        le=65_535,
        description="gRPC port of the Qdrant server (less overhead than REST); 0: REST only.",
    )
    qdrant_timeout: int = Field(
        2, ge=1, le=600, description="Seconds that the Qdrant server may take to answer any request but a write."
    )
    qdrant_prefix: str = Field(
        "lookalike",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Prefix of the names of our collections on the Qdrant server.",
    )
    qdrant_shards: int = Field(1, ge=1, le=1024, description="Shards of a new collection on the Qdrant server.")
    qdrant_replicas: int = Field(1, ge=1, le=64, description="Replicas of each shard of a new collection.")
    qdrant_write_consistency: int = Field(
        1, ge=1, le=64, description="Replicas that must acknowledge a write, for a new collection."
    )
    lease_seconds: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="Seconds without a sign of life after which the changes of a worker are requeued.",
    )
    give_up_seconds: float = Field(
        3600.0,
        ge=0,
        description="Seconds of failed attempts to encode or to write after which changes fail with the reason.",
    )
    job_retention: int = Field(86_400, ge=1, description="Seconds that a finished job is kept.")
    generation_keep: int = Field(
        86_400,
        ge=0,
        description="Seconds that a generation of a catalog is kept after another one has become the live one.",
    )
    max_waiting: int = Field(
        2_000_000, ge=1, description="Maximum number of waiting changes; above it requests are answered with 429."
    )
    concurrency: int = Field(
        3,
        ge=1,
        le=64,
        description="Batches that a worker processes at once: one is encoded while others are fetched or written.",
    )
    batch_seconds: float = Field(
        600.0, ge=1, description="Seconds after which a batch counts as stuck, and its worker exits."
    )
    graph_after_ms: float = Field(
        20.0,
        ge=0,
        description="Median milliseconds of a search above which the search graph of a catalog is built, where the "
        "index is in this process; 0: only when asked for.",
    )
    fetch_allow: str = Field(
        "", description="Internal hosts that images may be fetched from: host names and CIDRs, separated by commas."
    )
    fetch_headers_file: Path | None = Field(
        None,
        # Whoever sets the headers themselves by mistake must not find them in a log.
        repr=False,
        description="JSON file of headers, such as keys, for hosts that images are fetched from: "
        '{"images.example.com": {"Authorization": "Bearer ..."}}.',
    )
    fetch_threads: int = Field(16, ge=1, le=256, description="Images of one batch that are fetched at the same time.")
    api_keys_file: Path | None = Field(
        None, description="File of hashed API keys; required to listen on any address but loopback."
    )
    public_url: str = Field(
        "",
        description="URL that others reach the service at, where a proxy is in front of it: scheme, host, and the path "
        "below which it stands, such as https://shop.example/lookalike; empty: the address that it listens on.",
    )
    allow_origins: str = Field(
        "",
        description="Origins of pages that may call the service with an API key, such as https://shop.example, "
        "separated by commas; empty: none.",
    )
    rate_limit: int = Field(
        0, ge=0, description="Requests per minute that one API key may send to each API process; 0: no limit."
    )
    api_key: SecretStr = Field(
        SecretStr(""), description="API key that commands send to a running service that requires one."
    )
    service_url: str = Field(
        "", description="URL of the service that commands use; empty: the one that runs on the data folder."
    )
    metrics_host: str = Field("127.0.0.1", description="Address of a worker's own /metrics.")
    metrics_port: int = Field(0, ge=0, le=65_535, description="Port of a worker's own /metrics; 0: none.")
    log_format: Literal["console", "json"] = Field("console", description="Format of the logs: console or json.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    download_timeout: float = Field(
        5.0, gt=0, le=3600, description="Seconds to wait for the server that holds the ImageNet weights to answer."
    )
    download_seconds: float = Field(
        900.0, gt=0, le=86_400, description="Seconds that downloading the ImageNet weights may take in total."
    )


def load(**overrides: object) -> Settings:
    """Reads the settings from the environment; `overrides` take precedence (None and "" count as not given).

    A setting may also come from a file, as Docker and Kubernetes mount secrets: `lookalike_redis_url` and the like in
    the folder that LOOKALIKE_SECRETS names, /run/secrets by default.

    Raises:
        InvalidSetting: A value is invalid; the message names the variable.
    """
    secrets = Path(os.environ.get("LOOKALIKE_SECRETS") or "/run/secrets")
    given: dict[str, Any] = {name: value for name, value in overrides.items() if value not in (None, "")}
    try:
        return Settings(_secrets_dir=secrets if secrets.is_dir() else None, **given)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        raise InvalidSetting(
            f"LOOKALIKE_{field.upper()}={first['input']!s} is refused: {first['msg']}. "
            f"{Settings.model_fields[field].description}"
        ) from error
