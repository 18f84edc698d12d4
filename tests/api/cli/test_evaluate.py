"""`lookalike evaluate`: figures, plot and pictures say whether another generation is better, and where it is not."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from beside import beside
from click.testing import CliRunner

from api.cli.evaluation_sheet import write_evaluation
from api.cli.figures import difference, interval, points, show
from api.cli.forest import forest
from api.cli.main import cli
from services import bootstrap, settings
from services.catalog.catalog import Catalog
from services.catalog.evaluating import ColumnReport, Evaluation
from services.explore.queries import queries_of
from services.explore.report import reported

Run = Callable[..., tuple[int, dict[str, Any]]]
Refused = Callable[..., str]

HOSTILE = "<script>alert(1)</script>&[red]x[/red]\x1b[2J\u202e\uffff\nend"
KEY = f'"{HOSTILE}"'
SVG = "{http://www.w3.org/2000/svg}"


def column(name: str, generation: str | None, **more: Any) -> ColumnReport:
    made: dict[str, Any] = {"encoder": "stub", "weights": "random:1", "resample": "nearest", "features": "head"}
    return {"name": name, "generation": generation, "missing": 0, "faults": {}, **made, **more}


def evaluation(
    names: Callable[[int], str] = lambda n: f"p{n:02}", label: str = "kind", *, others: int = 1
) -> Evaluation:
    """Of 60 products and six values; the next generation mixes two of the values up, and another one all of them."""
    ids = [names(n) for n in range(60)]
    queries = queries_of(ids, [frozenset([f"{names(n % 6)} {n % 6}"]) for n in range(60)], [None] * 60)
    kinds = np.array([ids.index(id) % 6 for id in queries.product_ids])
    noise = np.random.default_rng(1).normal(0, 0.2, (60, 6))
    columns = [np.eye(6)[kinds] + noise, np.eye(6)[np.where(kinds == 5, 4, kinds)] + noise, noise][: 1 + others]
    unit = [(each / np.linalg.norm(each, axis=1, keepdims=True)).astype(np.float32) for each in columns]
    told = reported(label, queries, unit)
    described = [column("live", "a1"), column("next", "b2", missing=2, faults={"media_not_found": 2})]
    return {
        "catalog": "shop",
        "group": None,
        "sample": 62,
        "products": 60,
        "columns": [*described, column("recipe", None)][: 1 + others],
        "labels": [told],
    }


def hostile(n: int) -> str:
    return f"{HOSTILE}{n:02}"


@pytest.fixture
def catalog(run: Run, tmp_path: Path) -> Iterator[Catalog]:
    """Products without pictures, whose IDs are markup and escape sequences."""
    ids = np.array([hostile(n) for n in range(60)])
    attributes = [json.dumps({HOSTILE: HOSTILE})] * 60
    np.savez(tmp_path / "a.npz", product_id=ids, features=np.eye(60, 2048) + 1, attributes=np.array(attributes))
    assert run("import", tmp_path / "a.npz", "--data", tmp_path / "data")[0] == 0
    with bootstrap.catalogs(settings.load(data=tmp_path / "data"), create=False) as catalogs:
        yield catalogs.get("products")


class Balanced(HTMLParser):
    """Reads HTML whose elements all end, and what it refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.refers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.refers += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(html: str) -> Balanced:
    found = Balanced()
    found.feed(html)
    found.close()
    assert found.open == [] and all(each.startswith("data:image/webp;base64,") for each in found.refers)
    assert "script" not in found.seen and not {"\x1b", "\u202e", "\uffff"} & set(html) and "url(" not in html
    return found


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


def test_the_plot_has_a_mark_for_each_metric_and_value() -> None:
    svg = forest(evaluation())
    found = texts(svg)
    assert {"1-NN", "precision@5", "precision@10", "mAP", "kind: next against live", "60", "10"} <= set(found)
    # Two values got worse, and with them all metrics; what is the same is told by its form, too.
    assert (svg.count('<path class="worse"'), svg.count('<circle class="not_told_apart"')) == (6, 4)
    assert forest(evaluation()) == svg
    assert not re.findall(r"[0-9]\.[0-9]{3}", svg), "no digits that differ by how a processor rounds"


def test_the_plot_of_one_generation_has_its_figures() -> None:
    svg = forest(evaluation(others=0))
    assert svg.count("<circle") == 4 and "100" in texts(svg) and "against" not in svg


def test_a_plot_of_hostile_labels_is_well_formed_and_shows_them() -> None:
    svg = forest(evaluation(hostile, KEY, others=2))
    found = texts(svg)
    assert "<script" not in svg and any("<script>alert(1)</script>&[red]x" in each for each in found)
    assert any(each.startswith("<script>alert(1)</script>…") for each in found), "what is long is cut"


def test_the_page_shows_what_got_worse_and_obeys_nobody(catalog: Catalog, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    found = evaluation(hostile, KEY, others=2)
    write_evaluation(page, catalog, found)
    html = page.read_text()
    read(html)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    # Ten queries of each comparison, eight answers of both.
    assert (html.count("<section>"), html.count("<figure")) == (20, 20 * 17) and html.count("<svg") == 2
    assert 0 < html.count("✗") - 2 == html.count('class="miss"')
    # Each picture has its product's own value under it.
    assert html.count("✓ &lt;script&gt;") + html.count("✗ &lt;script&gt;") == 20 * 16 and "object at" not in html


def test_people_read_a_table_of_80_columns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show(evaluation())
    said = capsys.readouterr().out
    table = [line for line in said.splitlines() if line.startswith(("1-NN", "precision@", "mAP"))]
    assert max(map(len, table)) <= 80 and len(table) >= 4
    assert "next against live: worse in 1-NN, precision@5, precision@10 and mAP." in said
    worse = "not better for 6 of 6 values of kind: worse for (p04 4 and p05 5|p05 5 and p04 4); not told apart for 4"
    assert re.search(worse, said)
    assert "next: stub, random:1, nearest, head (generation b2); missing products: 2 (media_not_found 2)" in said
    show(evaluation(hostile, KEY, others=2))
    said = capsys.readouterr().out
    assert not {"\x1b", "\u202e"} & set(said) and "[red]x[/red]" in said


def test_figures_are_percents() -> None:
    figure: Any = {"mean": 0.8234, "low": 0.8, "high": 1.0}
    assert interval(figure) == "82.3 [80.0–100.0]"
    apart: Any = {"mean": -0.012, "low": -0.0301, "high": 0.00001}
    assert difference(apart) == "-1.2 [-3.0, 0.0]"
    assert [points(each) for each in (0.0, -0.0001, 0.0006, 1.0)] == ["0.0", "0.0", "+0.1", "+100.0"]


def test_the_live_generation_is_evaluated(run: Run, indexed: Path, tmp_path: Path) -> None:
    svg, html = tmp_path / "plot.svg", tmp_path / "page.html"
    status, found = run("evaluate", "--label", "color", "--svg", svg, "--html", html, "--data", indexed)
    assert (status, found["catalog"], found["products"], found["group"]) == (0, "products", 12, None)
    assert [each["name"] for each in found["columns"]] == ["live"]
    [label] = found["labels"]
    assert (label["label"], label["queries"], label["values"], label["compared"]) == ("color", 12, 3, [])
    assert label["figures"][0]["precision@1"]["mean"] > 0.5
    texts(svg.read_text())
    read(html.read_text())
    result = CliRunner().invoke(cli, ["evaluate", "--label", "color", "--data", str(indexed)])
    assert "color: 12 queries of 3 values" in result.stdout and "nothing to compare with" in result.stderr


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("label_unusable", ["--label", "colour"]),
        ("invalid_input", ["--label", "a..b"]),
        ("label_unusable", ["--label", "color", "--group", "prices"]),
        ("label_unusable", ["--label", "color", "--group", "color"]),
        ("generation_not_found", ["--label", "color", "--generation", "x"]),
        ("encoder_unknown", ["--label", "color", "--encoder", "resnet"]),
        ("generation_unchanged", ["--label", "color", "--resample", "nearest"]),
        ("too_few_images", ["--label", "color", "--features", "tuned"]),
        ("weights_invalid", ["--label", "color", "--weights", "random:x"]),
        ("invalid_input", ["--label", "color", "--svg", "/nowhere/at/all.svg"]),
        ("invalid_input", ["--label", "color", "--html", "/nowhere/at/all.html"]),
        ("catalog_not_found", ["--label", "color", "--catalog", "boots"]),
    ],
)
def test_what_cannot_be_evaluated_is_refused(refused: Refused, indexed: Path, code: str, arguments: list[str]) -> None:
    message = refused(code, "evaluate", *arguments, "--data", indexed)
    assert "perhaps color is meant" in message or "colour" not in arguments


@pytest.fixture(params=["library", "service"])
def shop(request: pytest.FixtureRequest, own: Path, tmp_path: Path) -> Iterator[Path]:
    """A data folder of one test, which nothing works on, or a service."""
    folder = Path(shutil.copytree(own, tmp_path / "data"))
    if request.param == "library":
        yield folder
        return
    with beside(folder):
        yield folder


@pytest.mark.long
def test_it_answers_before_anybody_promotes(run: Run, shop: Path, tmp_path: Path) -> None:
    here = ("--data", shop)
    status, recipe = run("evaluate", "--label", "color", "--resample", "bilinear", *here)
    assert (status, [each["name"] for each in recipe["columns"]]) == (0, ["live", "recipe"])
    assert len(run("generations", *here)[1]["generations"]) == 1, "nothing is stored"
    _, built = run("reindex", "--resample", "bilinear", *here)
    html = tmp_path / "page.html"
    status, found = run("evaluate", "--label", "color", "--label", "price", "--html", html, *here)
    assert (status, found["columns"][1]["generation"]) == (0, built["id"])
    color, price = found["labels"]
    assert {each["value"] for each in color["compared"][0]["values"]} == {"blue", "green", "red"}
    assert (price["label"], price["values"]) == ("price", 4)
    # The recipe was what the generation is, but for the last digit of what was encoded in other batches.
    for metric, figure in recipe["labels"][0]["figures"][1].items():
        assert figure["mean"] == pytest.approx(color["figures"][1][metric]["mean"], abs=0.1)
    read(html.read_text())
    result = CliRunner().invoke(cli, ["evaluate", "--label", "color", "--data", str(shop)])
    assert result.exit_code == 0 and "next against live:" in result.stdout
    assert run("promote", *here)[0] == 0
    assert run("evaluate", "--label", "color", *here)[1]["columns"][1]["name"] == "previous"
