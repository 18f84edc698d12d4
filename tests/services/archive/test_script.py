"""The replaced script's files: our export is what it wrote, and its numbers are repaired."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from services.archive import script
from services.archive.archive import checked
from services.errors import InvalidProductID, InvalidSource

DIM = 4


def script_run(folder: Path, files: list[str], bad: set[str] = frozenset()) -> dict[str, np.ndarray]:
    """What the replaced script does: unreadable files give no row and no line, but take a number."""
    random = np.random.default_rng(5)
    rows, lines, truth = [], [], {}
    for number, file in enumerate(files):
        if file in bad:
            continue
        rows.append(random.random(DIM, dtype=np.float32))
        lines.append(f"{file}\x01{number}\n")
        truth[file.rpartition(".")[0]] = rows[-1]
    np.savetxt(folder / script.EMBEDDINGS, np.array(rows))
    (folder / script.INDEXES).write_text("".join(lines))
    return truth


def read(folder: Path) -> dict[str, np.ndarray]:
    return {embedding.product_id: embedding.features for embedding in checked(script.read(folder))}


def assert_rows(found: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> None:
    assert found.keys() == truth.keys()
    for product_id, features in truth.items():
        np.testing.assert_array_equal(found[product_id], features)


def test_numbers_that_run_ahead_of_the_rows_are_repaired(tmp_path) -> None:
    """Given a folder with two bad files, if I import what the script made of it, I expect everyone's own row."""
    truth = script_run(tmp_path, [f"p{i}.x.jpg" for i in range(8)], bad={"p2.x.jpg", "p5.x.jpg"})
    assert script.read(tmp_path).repaired == 4
    assert_rows(read(tmp_path), truth)


def test_lines_may_be_in_another_order_than_their_numbers(tmp_path) -> None:
    truth = script_run(tmp_path, [f"p{i}.jpg" for i in range(8)], bad={"p1.jpg"})
    lines = (tmp_path / script.INDEXES).read_text().splitlines(keepends=True)
    (tmp_path / script.INDEXES).write_text("".join(reversed(lines)))
    assert_rows(read(tmp_path), truth)


def test_a_run_without_bad_files_needs_no_repair(tmp_path) -> None:
    truth = script_run(tmp_path, ["a.jpg", "b.png", "no_extension", ".jpg"])
    assert script.read(tmp_path).repaired == 0
    truth = {
        "a": truth["a"],
        "b": truth["b"],
        "no_extension": list(truth.values())[2],
        ".jpg": list(truth.values())[-1],
    }
    assert read(tmp_path).keys() == truth.keys()


def test_windows_line_ends_a_byte_order_mark_and_a_missing_last_newline_are_read(tmp_path) -> None:
    truth = script_run(tmp_path, ["grün.jpg", "b.jpg", "c.jpg"])
    for name in (script.EMBEDDINGS, script.INDEXES):
        path = tmp_path / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n").removesuffix(b"\r\n"))
    assert_rows(read(tmp_path), truth)


def test_the_export_is_what_the_script_wrote(tmp_path, embeddings, spec) -> None:
    script.write(embeddings, tmp_path, spec, len(embeddings))
    savetxt = BytesIO()
    np.savetxt(savetxt, np.array([embedding.features for embedding in embeddings]))
    assert (tmp_path / script.EMBEDDINGS).read_bytes() == savetxt.getvalue()
    loaded = np.loadtxt(tmp_path / script.EMBEDDINGS, dtype=np.float32)
    np.testing.assert_array_equal(loaded, [embedding.features for embedding in embeddings])
    lines = (tmp_path / script.INDEXES).read_bytes().decode().split("\n")
    assert lines == [f"{each.product_id}.jpg\x01{row}" for row, each in enumerate(embeddings)] + [""]


@pytest.mark.parametrize("product_id", ["a\nb", "a\r", "a\u2028", "a\x01b", "\x85"])
def test_a_product_id_that_would_break_a_line_is_refused(product_id, embeddings, spec, tmp_path) -> None:
    embeddings[3] = replace(embeddings[3], product_id=product_id)
    with pytest.raises(InvalidProductID, match="npz or parquet") as refusal:
        script.write(embeddings, tmp_path, spec, len(embeddings))
    assert repr(product_id) in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("indexes", "sentence"),
    [
        ("a.jpg\x010\nb.jpg\x010\n", "Lines 1 and 2 .* both have the number 0"),
        ("a.jpg\x010\na.png\x011\n", "'a.jpg' and 'a.png' in lines 1 and 2 .* both product 'a'"),
        ("a.jpg\x010\n", "has 2 rows and indexes.txt has 1 lines"),
        ("a.jpg\x010\nb.jpg\x011\nc.jpg\x012\n", "has 2 rows and indexes.txt has 3 lines"),
        ("", "has 2 rows and indexes.txt has 0 lines"),
        ("a.jpg\x010\n\nb.jpg\x011\n", "Line 2 of .*indexes.txt"),
        ("a.jpg\x010\nb.jpg 1\n", "Line 2 of .*indexes.txt"),
        ("a.jpg\x01-1\nb.jpg\x011\n", "Line 1 of .*indexes.txt"),
        ("a.jpg\x01²\nb.jpg\x011\n", "Line 1 of .*indexes.txt"),
        ("\x010\nb.jpg\x011\n", "Line 1 of .*indexes.txt"),
        ("a.jpg\x01" + "1" * 5000 + "\nb.jpg\x011\n", "Line 1 of .*indexes.txt"),
    ],
)
def test_lines_that_do_not_tell_whose_row_it_is_are_refused(indexes, sentence, tmp_path) -> None:
    script_run(tmp_path, ["a.jpg", "b.jpg"])
    (tmp_path / script.INDEXES).write_text(indexes)
    with pytest.raises(InvalidSource, match=sentence) as refusal:
        read(tmp_path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        ("1 2 3 4\n1 2 3\n", "Row 2 .* has 3 numbers, row 1 has 4"),
        ("1 2 3 4\n1 2 x 4\n", "Row 2 .* does not hold numbers"),
        ("1,2\n1,2\n", "Row 1 .* does not hold numbers"),
        ("1 2\n\n", "Row 2 .* does not hold numbers .*empty"),
        ("1 2\n1 \r 2\n", "Row 2 .* does not hold numbers"),
        ("1 2\n1 nan\n", "Row 2 .* not finite"),
        ("1 2\n1 1e39\n", "Row 2 .* not finite"),
        ("1 2\n", "has 1 rows and indexes.txt has 2 lines"),
        ("", "has 0 rows and indexes.txt has 2 lines"),
        ("1" * (5 << 20), "Line 1 .* is longer than"),
    ],
)
def test_rows_that_are_no_features_are_refused(features, sentence, tmp_path) -> None:
    script_run(tmp_path, ["a.jpg", "b.jpg"])
    (tmp_path / script.EMBEDDINGS).write_text(features, newline="")
    with pytest.raises(InvalidSource, match=sentence) as refusal:
        read(tmp_path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", [script.EMBEDDINGS, script.INDEXES])
def test_a_missing_file_is_refused(name, tmp_path) -> None:
    script_run(tmp_path, ["a.jpg"])
    (tmp_path / name).unlink()
    with pytest.raises(InvalidSource, match=f"{name} is not there"):
        read(tmp_path)


@pytest.mark.parametrize("name", [script.EMBEDDINGS, script.INDEXES])
def test_a_file_that_is_no_text_is_refused(name, tmp_path) -> None:
    script_run(tmp_path, ["a.jpg"])
    (tmp_path / name).write_bytes(b"\xff\xfea\x00")
    with pytest.raises(InvalidSource, match="UTF-8"):
        read(tmp_path)


def test_a_power_cut_between_the_two_files_leaves_no_pair_of_old_and_new(
    embeddings, spec, tmp_path, monkeypatch
) -> None:
    script.write(embeddings, tmp_path, spec, len(embeddings))
    replace_file = Path.replace

    def cut_off(path: Path, target: Path) -> Path:
        if target.name == script.INDEXES:
            raise KeyboardInterrupt
        return replace_file(path, target)

    monkeypatch.setattr(Path, "replace", cut_off)
    with pytest.raises(KeyboardInterrupt):
        script.write(embeddings[::-1], tmp_path, spec, len(embeddings))
    with pytest.raises(InvalidSource, match="is not there"):
        read(tmp_path)
