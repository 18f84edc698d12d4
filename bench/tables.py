"""What the benches found as tables: each figure beside its reference, and the bar that it is held against.

A bar is what the project wants to reach; nothing fails where one is missed (docs/performance.md says which are).
"""

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Result = Mapping[str, Any]
"""What a bench wrote (results.py)."""

PRECISIONS = ("float32", "bfloat16")
GRAPHS = ("graph", "graph, 4-bit")


@dataclass(frozen=True)
class Line:
    """One figure; `bar` is the least, or with `at_most` the most, that it should be."""

    what: str
    seen: str
    reference: str
    figure: float | None
    """None: this machine cannot do it."""
    bar: float | None = None
    at_most: bool = False
    unit: str = ""
    recall: float | None = None
    """Recall@10, which has a bar of its own: `RECALL`."""

    @property
    def met(self) -> bool | None:
        """None where there is nothing to say."""
        if self.figure is None or self.bar is None:
            return None
        if self.recall is not None and self.recall < RECALL:
            return False
        return self.figure <= self.bar if self.at_most else self.figure >= self.bar


RECALL = 0.99


@dataclass(frozen=True)
class Table:
    """Lines that belong together; `name` is the bench's, or its and what it is about."""

    name: str
    title: str
    lines: list[Line]


def tables(results: Mapping[str, Result]) -> list[Table]:
    """The tables of those benches whose results are there."""
    found = [Table(name, title, [*lines(results[bench])]) for name, bench, title, lines in _TABLES if bench in results]
    return [table for table in found if table.lines]


def _encode(result: Result) -> Iterator[Line]:
    bars = {"float32": 0.78, "bfloat16": 0.72}
    for precision in PRECISIONS:
        if (row := result.get(precision)) is None:
            yield _impossible(f"the encoder in {precision}", bars[precision])
            continue
        rate = row["images_per_second"] * row["gigaflop_per_image"]
        seen = f"{row['images_per_second']} images/s of {row['gigaflop_per_image']} GFLOP, {rate:.0f} GFLOP/s"
        reference = f"multiplying matrices, {row['peak_gigaflops']:.0f} GFLOP/s"
        yield Line(f"the encoder in {precision}", seen, reference, row["share_of_peak"], bars[precision])


def _decode(result: Result) -> Iterator[Line]:
    seen, alone, ratio = (
        _median(result["rounds"], key) for key in ("product_per_second", "pillow_per_second", "ratio")
    )
    what = f"JPEGs of {result['side']} x {result['side']} pixels, one process"
    yield Line(what, f"{seen:.0f} images/s", f"Pillow alone, {alone:.0f} images/s", ratio, 0.95)


def _ingest(result: Result) -> Iterator[Line]:
    small, large, script = result["small"], result["large"], result["script"]
    bars = {"float32": 1.5, "bfloat16": 2.5}
    for precision in PRECISIONS:
        whats = [f"images {small} to {large}, {precision}", f"the whole command on {small}, {precision}"]
        if (row := result.get(precision)) is None:
            yield _impossible(whats[0], bars[precision])
            yield _impossible(whats[1], 1.3)
            continue
        seen, reference = (f"{each['marginal_images_per_second']:.1f} images/s" for each in (row, script))
        yield Line(whats[0], seen, f"the script, {reference}", row["marginal_ratio"], bars[precision])
        seen, reference = (f"{each['seconds_small']:.1f} s" for each in (row, script))
        yield Line(whats[1], seen, f"the script, {reference}", row["small_speedup"], 1.3)


def _pipeline(result: Result) -> Iterator[Line]:
    for precision in PRECISIONS:
        for way, bar in (("folder", 0.85), ("urls", 0.75)):
            what = f"from {'a folder' if way == 'folder' else 'URLs through the service'}, {precision}"
            if not (rounds := result["precisions"].get(precision)):
                yield _impossible(what, bar)
                continue
            seen, alone, ratio = (
                _median(rounds, key) for key in (f"{way}_per_second", "alone_per_second", f"{way}_ratio")
            )
            yield Line(what, f"{seen:.1f} images/s", f"the encoder alone, {alone:.1f} images/s", ratio, bar)


def _memory(result: Result) -> Iterator[Line]:
    if "memory" not in result:
        return  # on a little it says nothing, and takes long
    (few, one), *more = result["memory"].items()
    for many, other in more:
        grown = other["private_megabytes"] - one["private_megabytes"]
        seen = f"{other['private_megabytes']:.0f} MB, and {other['vectors_on_disk_megabytes']:.0f} MB on the disk"
        reference = f"{int(few):,} images, {one['private_megabytes']:.0f} MB"
        yield Line(f"{int(many):,} images", seen, reference, round(grown, 1), 100, at_most=True, unit=" MB more")


def _search(result: Result) -> Iterator[Line]:
    bars = {"exact": 10, "4-bit": 30, **dict.fromkeys(GRAPHS, 100)}
    rows = {name: row for name, row in result["sides"].items() if name != "local mode"}
    for way, title in (("all", ""), ("filtered", ", filtered")):
        reference = f"local mode, {result['sides']['local mode'][way]['p50_ms']:.0f} ms"
        for name, each in rows.items():
            row = each[way]
            bar = None if name == "numpy" or "opened" in name else 20 if way == "filtered" else bars[name]
            seen = f"p50 {row['p50_ms']:.1f} ms, recall@10 {row['recall_at_10']:.3f}"
            figure = row["times_local_mode"]
            yield Line(f"{name}{title}", seen, reference, figure, bar, unit="x", recall=row["recall_at_10"])


def _filters(result: Result) -> Iterator[Line]:
    for kind, found in result["vectors"].items():
        for name, row in found["filters"].items():
            seen = f"{row['graph_ms']:.2f} ms, recall@10 {row['recall_at_10']:.3f}"
            # Where exact search is slow already, any graph is welcome.
            bar = 1.1 if row["exact_ms"] < 5 else None
            reference, recall = f"exact, {row['exact_ms']:.2f} ms", row["recall_at_10"]
            what = f"{kind}, {name}"
            yield Line(what, seen, reference, row["ratio"], bar, at_most=True, unit="x", recall=recall)


def _serving(result: Result) -> Iterator[Line]:
    rounds = result["rounds"]
    busy, idle, ratio = (_median(rounds, key) for key in ("busy_p99_ms", "idle_p99_ms", "p99_ratio"))
    yield Line(
        "neighbors, p99, during a feed", f"{busy:.1f} ms", f"idle, {idle:.1f} ms", ratio, 4, at_most=True, unit="x"
    )
    asked, alone, ratio = (
        _median(rounds, f"feed_{key}") for key in ("while_asked_per_second", "alone_per_second", "ratio")
    )
    yield Line("the feed, while asked", f"{asked:.1f} images/s", f"not asked, {alone:.1f} images/s", ratio, 0.8)


def _building(result: Result) -> Iterator[Line]:
    rounds = result["rounds"]
    built, fed, ratio = (_median(rounds, key) for key in ("build_p99_ms", "feed_p99_ms", "p99_ratio"))
    what = f"neighbors of {result['products']:,}, p99, during a feed and a build"
    yield Line(what, f"{built:.1f} ms", f"during the feed, {fed:.1f} ms", round(ratio, 2), 1.3, at_most=True, unit="x")
    built, fed, ratio = (_median(rounds, f"feed_{key}") for key in ("while_built_per_second", "per_second", "ratio"))
    yield Line("the feed, during a build", f"{built:.1f} images/s", f"without, {fed:.1f} images/s", round(ratio, 3))


def _start(result: Result) -> Iterator[Line]:
    seconds = result["start_to_first_neighbors_seconds"]
    seen = f"{min(seconds)} to {max(seconds)} s in {len(seconds)} starts"
    median = round(statistics.median(seconds), 2)
    what = f"`up` to first neighbors, {result['products']:,} products"
    yield Line(what, seen, "the command's start", median, 3, at_most=True, unit=" s")


def _accept(result: Result) -> Iterator[Line]:
    for key, what, bar in (
        ("accept", "changes", 5000),
        ("accept_with_1_kb_of_attributes", "changes with 1 KB of attributes", 1000),
    ):
        row = result[key]
        seen = f"{row['lines']:,} lines, {row['feed_megabytes']} MB; memory +{row['memory_grew_megabytes']} MB"
        yield Line(what, seen, "a second", row["lines_per_second"], bar, unit="/s")


def _clients(result: Result) -> Iterator[Line]:
    found = result["clients"]
    one, feed = (_median(found["rounds"], f"{key}_per_second") for key in ("one_by_one", "feed"))
    what = f"{found['clients']} clients, one image at a time"
    yield Line(what, f"{one:.1f} images/s", f"a feed, {feed:.1f} images/s", round(found["ratio"], 3), 0.85)


def _scaling(result: Result) -> Iterator[Line]:
    first, *more = (key for key in result if key.endswith("_workers"))
    for key in more:
        row = result[key]
        reference = f"one, {result[first]['images_per_second']} images/s"
        yield Line(key.replace("_", " "), f"{row['images_per_second']} images/s", reference, row["ratio"], unit="x")


def _tuned(result: Result) -> Iterator[Line]:
    bars = {"efficientnet_lite0": 2.5, "inception_v3": 1.4}
    for name, row in result["networks"].items():
        seen, reference = (f"{row[f'{features}_milliseconds']:.1f} ms an image" for features in ("tuned", "head"))
        yield Line(f"encoding, {name}", seen, f"head, {reference}", row["ratio"], bars[name], at_most=True, unit="x")


def _tuned_parts(result: Result) -> Iterator[Line]:
    figure, pictures = result["color_milliseconds"], result["pictures"]
    yield Line("the color block of an image", "one processor", "", figure, 2, at_most=True, unit=" ms")
    for name, row in result["networks"].items():
        seen = f"{row['numbers']:,} numbers each, without encoding"
        yield Line(f"learning from {pictures:,} pictures, {name}", seen, "", row["learning_milliseconds"], unit=" ms")


def _tuned_folder(result: Result) -> Iterator[Line]:
    pictures = f"{result['new']:,} pictures"
    for key, what, bar in (("seconds", f"{pictures} searchable", 2), ("whole_seconds", "the whole command", None)):
        row = result[key]
        seen, reference = f"{row['tuned']:.1f} s", f"head, {row['head']:.1f} s"
        yield Line(what, seen, reference, row["ratio"], bar, at_most=True, unit="x")


def _tuned_search(result: Result) -> Iterator[Line]:
    rows = result["sides"]
    tuned = rows["tuned"]["p50_ms"]
    for name, row in rows.items():
        if name.startswith("head") and "rerank" not in name:
            what, reference = f"tuned against {name} numbers", f"p50 {row['p50_ms']:.2f} ms"
            figure = round(tuned / row["p50_ms"], 3)
            yield Line(what, f"p50 {tuned:.2f} ms", reference, figure, 0.333, at_most=True, unit="x")
        elif name != "tuned":
            plain = name.rpartition(", ")[0]
            more = row["p50_ms"] - rows[plain]["p50_ms"]
            seen, reference = f"p50 {row['p50_ms']:.2f} ms, {more:+.2f} ms", f"without, {rows[plain]['p50_ms']:.2f} ms"
            yield Line(name, seen, reference, round(row["p50_ms"] / rows[plain]["p50_ms"], 3), unit="x")


def _queries(result: Result) -> Iterator[Line]:
    bars = {"plain": None, "ten terms": 1.5}
    for row in result["ways"]:
        if row["way"] != "neighbors":
            what = f"{row['features']}: {row['way']} against neighbors"
            seen = f"p50 {row['p50_ms']:.2f} ms"
            yield Line(what, seen, "", row["ratio"], bars.get(row["way"]), at_most=True, unit="x")


def _impossible(what: str, bar: float) -> Line:
    return Line(what, "not on this machine: no bfloat16", "", None, bar)


def _median(rounds: list[Result], key: str) -> float:
    return statistics.median(each[key] for each in rounds)


_TABLES: tuple[tuple[str, str, str, Callable[[Result], Iterator[Line]]], ...] = (
    ("encode", "encode", "The encoder against the processor's peak", _encode),
    ("decode", "decode", "Decoding against Pillow alone", _decode),
    ("ingest", "ingest", "Indexing a folder against the replaced script", _ingest),
    ("pipeline", "pipeline", "End to end against the encoder alone", _pipeline),
    ("memory", "pipeline", "Private memory", _memory),
    ("search", "search", "Search against qdrant-client's local mode", _search),
    ("filters", "filters", "Filters on a graph against exact search", _filters),
    ("serving", "serving", "Answers while images are embedded", _serving),
    ("building", "building", "Answers while a search graph is built", _building),
    ("start", "serving", "From start to first answer", _start),
    ("accept", "service", "Accepting a feed in one API process", _accept),
    ("clients", "service", "One image at a time against a feed", _clients),
    ("scaling", "scaling", "More workers, with a device that waits", _scaling),
    ("tuned", "tuned", "Encoding tuned features against head features", _tuned),
    ("tuned-parts", "tuned", "What tuned features need besides the network", _tuned_parts),
    (
        "tuned-folder",
        "tuned_folder",
        "A folder into a catalog with tuned features against one with head features",
        _tuned_folder,
    ),
    ("tuned-search", "tuned_search", "Exact search of tuned features against head features", _tuned_search),
    ("queries", "queries", "Queries of many terms, and neighbors before they told percentiles", _queries),
)
