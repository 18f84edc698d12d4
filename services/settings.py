"""Every setting, its default and its meaning. Each is an environment variable: LOOKALIKE_ and its name."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.errors import InvalidSetting
from services.records import Resample as Resample

Precision = Literal["auto", "float32", "bfloat16"]
MediaKeep = Literal["all", "none"]


class Settings(BaseSettings):
    """What a process is told about its surroundings. What belongs to a catalog is kept with the catalog."""

    model_config = SettingsConfigDict(env_prefix="LOOKALIKE_", extra="ignore", frozen=True, env_ignore_empty=True)

    data: Path = Field(Path("lookalike-data"), description="The data folder: catalogs, vectors and originals.")
    precision: Precision = Field(
        "auto",
        description="Arithmetic of the encoder: float32, bfloat16, or auto, which takes bfloat16 where the "
        "processor has AVX512_BF16 or AMX.",
    )
    batch_size: int = Field(64, ge=1, le=1024, description="Images that are encoded and written together.")
    decode_processes: int = Field(
        0, ge=0, le=256, description="Child processes that decode images; 0: one for each processor."
    )
    decode_timeout: float = Field(10.0, gt=0, le=3600, description="Seconds that decoding one image may take.")
    decode_memory: int = Field(
        1 << 30, ge=256 << 20, description="Bytes of address space that a decoding child may use."
    )
    max_image_bytes: int = Field(25_000_000, ge=1, description="Bytes that an image file may have.")
    max_image_pixels: int = Field(50_000_000, ge=1, description="Pixels that an image may have.")
    media_keep: MediaKeep = Field("all", description="Originals kept in the data folder: all or none.")
    min_free_bytes: int = Field(
        256 << 20, ge=64 << 20, description="Free bytes of the disk below which nothing more is written."
    )
    download_timeout: float = Field(
        5.0, gt=0, le=3600, description="Seconds to wait for the server that holds the ImageNet weights to answer."
    )
    download_seconds: float = Field(
        900.0, gt=0, le=86_400, description="Seconds that fetching the ImageNet weights may take altogether."
    )


def load(**overrides: object) -> Settings:
    """Settings of the environment, `overrides` first (None and "": not given).

    Raises `InvalidSetting`, which names the variable it refuses.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value not in (None, "")})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        raise InvalidSetting(
            f"LOOKALIKE_{field.upper()}={first['input']!s} is refused: {first['msg']}. "
            f"{Settings.model_fields[field].description}"
        ) from error
