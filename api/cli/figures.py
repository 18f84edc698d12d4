"""The figures of an evaluation as people read them: percents, intervals, verdicts, and where it is not better."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table

from api.cli.output import display, stderr, stdout
from services.catalog.evaluating import ColumnReport, Evaluation
from services.explore.evaluation import METRICS
from services.explore.report import Compared, Difference, Figure, LabelReport, ValueDifference

NAMES = {"precision@1": "1-NN", "map": "mAP"}
"""Of metrics; the others are called what they are."""
VERDICTS = {"better": "better", "worse": "worse", "not_told_apart": "not told apart"}
STYLES = {"better": "green", "worse": "red", "not_told_apart": ""}
DIFFERENCE, QUERIES = "difference", "queries"
SHOWN = 10
"""Values that a terminal shows, and that a sentence names."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One comparison of one label: the first column against another."""

    label: LabelReport
    compared: Compared
    live: ColumnReport
    other: ColumnReport

    def figures(self, metric: str) -> tuple[Figure, Figure, Difference]:
        """Of both, and the difference."""
        figures = self.label["figures"]
        return figures[0][metric], figures[self.compared["column"]][metric], self.compared["differences"][metric]


def pairs(found: Evaluation, label: LabelReport) -> list[Pair]:
    """The comparisons of a label."""
    columns = found["columns"]
    return [Pair(label, each, columns[0], columns[each["column"]]) for each in label["compared"]]


def name(metric: str) -> str:
    return NAMES.get(metric, metric)


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def points(value: float) -> str:
    """A difference in percentage points."""
    text = f"{100 * value:+.1f}"
    return text[1:] if text[1:] == "0.0" else text


def interval(figure: Figure) -> str:
    return f"{percent(figure['mean'])} [{percent(figure['low'])}–{percent(figure['high'])}]"


def difference(figure: Figure) -> str:
    return f"{points(figure['mean'])} [{points(figure['low'])}, {points(figure['high'])}]"


def made(column: ColumnReport) -> str:
    """What makes the vectors of a column."""
    return ", ".join([column["encoder"], column["weights"].rpartition("/")[2], column["resample"], column["features"]])


def described(column: ColumnReport) -> str:
    """A column in one sentence."""
    told = f"{column['name']}: {made(column)}"
    if column["generation"]:
        told += f" (generation {column['generation']})"
    if column["missing"]:
        faults = ", ".join(f"{code} {count}" for code, count in column["faults"].items())
        told += f"; missing products: {column['missing']}" + (f" ({faults})" if faults else "")
    return told


def counted(found: Evaluation, label: LabelReport) -> str:
    """What a label's queries are."""
    told = f"{label['label']}: {label['queries']} queries of {label['values']} values"
    if found["group"]:
        told += f" and {label['observations']} groups by {found['group']}"
    if label["unlabeled"]:
        told += f"; products without a value: {label['unlabeled']}"
    if label["alone"]:
        told += f"; with one that nobody shares: {label['alone']}"
    return told


def not_better(pair: Pair) -> list[str]:
    """Sentences that say how a comparison ends, and where it is not better."""
    live, other = pair.live["name"], pair.other["name"]
    by_verdict = {verdict: [name(metric) for metric in METRICS if _is(pair, metric, verdict)] for verdict in VERDICTS}
    told = [f"{words} in {_listed(by_verdict[verdict])}" for verdict, words in VERDICTS.items() if by_verdict[verdict]]
    return [f"{other} against {live}: {'; '.join(told)}.", _by_value(pair)]


def lacking(pair: Pair) -> list[ValueDifference]:
    """The values for which the other column is not better, those for which it is worse first."""
    return [each for each in pair.compared["values"] if each["verdict"] != "better"]


def show(found: Evaluation) -> None:
    """Prints an evaluation."""
    for column in found["columns"]:
        stdout().print(display(described(column)), soft_wrap=True)
    for label in found["labels"]:
        stdout().print()
        stdout().print(display(counted(found, label)), style="bold", soft_wrap=True)
        if not label["compared"]:
            _show_alone(found, label)
        for pair in pairs(found, label):
            _show_pair(pair)
    if not any(label["compared"] for label in found["labels"]):
        stderr().print(
            "There is nothing to compare with: build a generation with `lookalike reindex`, or name --encoder, "
            "--weights, --resample or --features.",
            soft_wrap=True,
        )


def _show_alone(found: Evaluation, label: LabelReport) -> None:
    table = _table("", f"{found['columns'][0]['name']}, %")
    for metric in METRICS:
        table.add_row(name(metric), interval(label["figures"][0][metric]))
    stdout().print(table)


def _show_pair(pair: Pair) -> None:
    table = _table("", f"{pair.live['name']}, %", f"{pair.other['name']}, %", DIFFERENCE, "")
    for metric in METRICS:
        live, other, apart = pair.figures(metric)
        told = VERDICTS[apart["verdict"]]
        style = STYLES[apart["verdict"]]
        table.add_row(name(metric), interval(live), interval(other), difference(apart), told, style=style)
    stdout().print(table)
    values = lacking(pair)
    if values:
        _show_values(pair, values)
    stdout().print()
    for sentence in not_better(pair):
        stdout().print(display(sentence), soft_wrap=True)


def _show_values(pair: Pair, values: Sequence[ValueDifference]) -> None:
    stdout().print(f"\nprecision@5 by value, where {pair.other['name']} is not better", style="dim")
    table = _table(pair.label["label"], QUERIES, pair.live["name"], pair.other["name"], DIFFERENCE, "")
    for each in values[:SHOWN]:
        row = [str(each["queries"]), percent(each["live"]), percent(each["other"]), difference(each)]
        style = STYLES[each["verdict"]]
        table.add_row(display(each["value"]), *row, VERDICTS[each["verdict"]], style=style)
    stdout().print(table)
    if len(values) > SHOWN:
        stdout().print(f" and {len(values) - SHOWN} more, which --json and --html have", soft_wrap=True)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(display(first), overflow="fold", max_width=24)
    for each in others:
        table.add_column(
            display(each), justify="right" if each == QUERIES else "left", no_wrap=each in (DIFFERENCE, QUERIES, "")
        )
    return table


def _by_value(pair: Pair) -> str:
    values, label = pair.compared["values"], pair.label
    worse = [each["value"] for each in values if each["verdict"] == "worse"]
    same = sum(each["verdict"] == "not_told_apart" for each in values)
    of = f"{len(values)} values" if len(values) == label["values"] else f"the {len(values)} most frequent values"
    if not worse and not same:
        return f"By precision@5 it is better for each of {of} of {label['label']}."
    told = [f"worse for {_listed(worse)}"] if worse else []
    told += [f"not told apart for {same}"] if same else []
    return f"By precision@5 it is not better for {len(worse) + same} of {of} of {label['label']}: {'; '.join(told)}."


def _is(pair: Pair, metric: str, verdict: str) -> bool:
    return pair.compared["differences"][metric]["verdict"] == verdict


def _listed(names: Iterable[str]) -> str:
    shown = [*names]
    if len(shown) > SHOWN:
        shown = [*shown[:SHOWN], f"{len(shown) - SHOWN} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
