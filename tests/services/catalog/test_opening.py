"""One way to open a catalog by name or to make it, for the API, the command line and the library."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services import bootstrap
from services.catalog.catalogs import Catalogs
from services.catalog.opening import new_spec, open_or_create
from services.descriptions import CatalogSpec
from services.errors import EncoderMismatch, EncoderUnknown, InvalidCatalog
from services.settings import Settings
from services.testing import load_stub

ASKED: Any = {"encoder": "efficientnet_lite0", "weights": "random:1", "resample": "bicubic", "quantization": "scalar"}


@pytest.fixture
def catalogs(tmp_path: Path) -> Iterator[Catalogs]:
    with bootstrap.catalogs(Settings(data=tmp_path / "data"), load=load_stub) as catalogs:
        yield catalogs


def options(spec: CatalogSpec) -> dict[str, str]:
    return {name: getattr(spec, name) for name in ASKED}


def test_a_new_catalog_has_the_defaults_of_what_is_left_out() -> None:
    spec = new_spec("shoes")
    assert options(spec) == {
        "encoder": "inception_v3",
        "weights": "imagenet",
        "resample": "nearest",
        "quantization": "none",
    }
    assert (spec.dim, spec.fingerprint) == (2048, None)


def test_what_is_asked_for_is_made_once_and_opened_after_that(catalogs: Catalogs) -> None:
    made, is_new = open_or_create(catalogs, "shoes", **ASKED)
    assert is_new and options(made.spec) == ASKED and made.spec.fingerprint is None
    for asked in ({}, ASKED, dict.fromkeys(ASKED), {"resample": "bicubic"}):
        again, is_new = open_or_create(catalogs, "shoes", **asked)
        assert again is made and not is_new


@pytest.mark.parametrize(
    "other",
    [{"encoder": "inception_v3"}, {"weights": "imagenet"}, {"resample": "nearest"}, {"quantization": "turbo"}],
)
def test_a_catalog_with_another_option_is_refused_and_stays(catalogs: Catalogs, other: Any) -> None:
    made, _ = open_or_create(catalogs, "shoes", **ASKED)
    [(option, wanted)] = other.items()
    with pytest.raises(EncoderMismatch, match=f"^{option}: catalog shoes has {ASKED[option]}, .* {wanted}; "):
        open_or_create(catalogs, "shoes", **(ASKED | other))
    assert catalogs.find("shoes") == made.spec


def test_with_its_encoder_a_new_catalog_has_a_fingerprint_at_once(catalogs: Catalogs) -> None:
    made, is_new = open_or_create(catalogs, "shoes", load_encoder=True, **ASKED)
    assert is_new and made.spec.fingerprint == "stub/efficientnet_lite0/random:1/bicubic"


def test_what_another_made_meanwhile_is_opened(catalogs: Catalogs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given two who ask for one name, if the other is faster, I expect its catalog, or why it is not what I want."""
    find = catalogs.find

    def find_late(name: str) -> CatalogSpec | None:
        found = find(name)
        if found is None:
            catalogs.create(new_spec(name, **ASKED))
        return found

    monkeypatch.setattr(catalogs, "find", find_late)
    opened, is_new = open_or_create(catalogs, "shoes", **ASKED)
    assert not is_new and options(opened.spec) == ASKED
    with pytest.raises(EncoderMismatch):
        open_or_create(catalogs, "bags", resample="lanczos")


def test_names_that_are_none_make_nothing(catalogs: Catalogs) -> None:
    with pytest.raises(InvalidCatalog):
        open_or_create(catalogs, "Shoes!")
    with pytest.raises(EncoderUnknown):
        open_or_create(catalogs, "shoes", encoder="vgg")
    assert catalogs.specs() == []
