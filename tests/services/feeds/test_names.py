"""Product IDs that only differ in their form of Unicode name one product."""

import shutil
from collections.abc import Collection
from pathlib import Path
from unicodedata import normalize

from hypothesis import given
from hypothesis import strategies as st

from services.feeds.lists import attributes_table
from services.feeds.names import as_held, nfc
from services.feeds.source import IdRule, Source
from services.feeds.sources import sources

OK = Path(__file__).parents[2] / "cases" / "jpeg" / "ok.jpg"
COMPOSED, DECOMPOSED = "caf\u00e9-gr\u00f6\u00dfe", "cafe\u0301-gro\u0308\u00dfe"


@given(st.text())
def test_the_form_of_a_name_does_not_matter(text: str) -> None:
    assert nfc(normalize("NFD", text)) == nfc(text) == nfc(nfc(text))


def test_a_decomposed_file_name_and_its_row_meet(tmp_path: Path) -> None:
    for name in (DECOMPOSED, "plain"):
        shutil.copy(OK, tmp_path / f"{name}.jpg")
    table = tmp_path / "colors.csv"
    table.write_text(f"product_id,color\n{COMPOSED},rot\nplain,blau\n")
    for rule, names in ((IdRule.STEM, [COMPOSED, "plain"]), (IdRule.RELATIVE, [f"{COMPOSED}.jpg", "plain.jpg"])):
        assert [each.product_id for each in sources([tmp_path], rule=rule)] == names
    table.write_text(f"product_id,color\n{DECOMPOSED},rot\n")
    assert attributes_table(table).rows == {COMPOSED: {"color": "rot"}}


def test_a_list_finds_its_files_in_the_form_that_the_disk_has(tmp_path: Path) -> None:
    for name in (DECOMPOSED, "\u00e4"):
        shutil.copy(OK, tmp_path / f"{name}.jpg")
    for suffix, text in (
        (".csv", f"product_id,image_path\n{DECOMPOSED},{COMPOSED}.jpg\nb,a\u0308.jpg\nc,\u00fc.jpg\n"),
        (
            ".ndjson",
            f'{{"product_id": "{DECOMPOSED}", "image_path": "{COMPOSED}.jpg"}}\n'
            '{"product_id": "b", "image_path": "a\u0308.jpg"}\n{"product_id": "c", "image_path": "\u00fc.jpg"}\n',
        ),
    ):
        path = tmp_path / f"list{suffix}"
        path.write_text(text)
        assert [(each.product_id, each.place) for each in sources([path])] == [
            (COMPOSED, str(tmp_path / f"{DECOMPOSED}.jpg")),
            ("b", str(tmp_path / "\u00e4.jpg")),
            ("c", str(tmp_path / "\u00fc.jpg")),
        ]


def source(product_id: str, spelled: str | None = None) -> Source:
    return Source(product_id, Path("1.jpg"), spelled=spelled)


def test_a_catalog_that_has_another_form_keeps_it() -> None:
    odd = "e\u0323\u0302"
    asked: list[str] = []
    there = {DECOMPOSED, "\u00fc", "u\u0308", odd}

    def held(product_ids: Collection[str]) -> set[str]:
        asked.extend(product_ids)
        return there & set(product_ids)

    found = [source(each) for each in (COMPOSED, "plain", "\u00fc", "\u00f1", "\u00df")]
    found.append(source("\u1ec7", spelled="\u1eb9\u0302"))
    renamed, count = as_held(found, held)
    assert [each.product_id for each in renamed] == [DECOMPOSED, "plain", "\u00fc", "\u00f1", "\u00df", odd]
    assert count == 2
    assert not {"plain", "\u00df"} & set(asked), "what has one form only is not asked for"


def test_a_catalog_is_not_asked_about_names_that_have_one_form() -> None:
    def held(product_ids: Collection[str]) -> set[str]:
        raise AssertionError(product_ids)

    found = [source("plain"), source("\u00df")]
    assert as_held(found, held) == (found, 0)
