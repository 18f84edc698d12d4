"""A table of products: its columns, learned in a first pass, and its rows, read in a second."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import IO, Any

from services.descriptions import AttributeKind
from services.errors import InvalidAttributes, InvalidChange, InvalidSource, LookalikeError
from services.feeds.tables.columns import Column, Missing, shown
from services.feeds.tables.headers import KNOWN, Header, Use, plain
from services.feeds.tables.learning import Learner
from services.feeds.tables.options import ByHand, Options, Role
from services.feeds.tables.rows import Row, form_of, rows_of
from services.feeds.tables.text import encoding_of
from services.query.filters import key_of

MAX_COLUMNS = 1000


@dataclass(frozen=True, slots=True)
class Record:
    """A row as what it says: the cells of roles, and attributes. `error`: why it cannot be taken; `field` is wrong."""

    line: int
    roles: Mapping[Role, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    error: LookalikeError | None = None
    field: str | None = None

    @property
    def product_id(self) -> str:
        return self.roles.get(Role.PRODUCT_ID, "")


class Table:
    """The columns and records of a table.

    Args:
        file: The table, which is read twice and left open.
        name: What messages call it.
        use: What it is for.
        options: What is said by hand.
        declared: Kinds that the catalog declares, by the keys of attributes.

    Raises:
        InvalidSource: It has no rows, lacks a column, or cannot be read as a whole.
    """

    def __init__(
        self, file: IO[bytes], name: str, use: Use, options: Options, declared: Mapping[str, AttributeKind]
    ) -> None:
        self.name = name
        self._file = file
        self._use = use
        self._options = options
        self._encoding = encoding_of(file, options.encoding, name)
        wanted = KNOWN | {each.casefold() for each in (*options.headers.values(), *options.kinds)}
        with self._refusing():
            self._form = form_of(file, self._encoding, wanted)
        self._further = 0
        with closing(self._rows()) as rows:
            self._header = Header(self._first(rows), options, name)
            self._roles = self._header.roles(use)
            self._handle = self._further_pictures()
            self._variant = [n for n, name in enumerate(self._header.names) if plain(name).startswith("variant")]
            self.columns = self._learned(rows, declared)
        self._misfits = [Missing() for _ in self.columns]
        self._attributes = [(n, each) for n, each in enumerate(self.columns) if each.kind]

    @property
    def notes(self) -> list[str]:
        """What is to be said of the table beside its columns."""
        notes = [self._encoding.note] if self._encoding.note else []
        if self._further:
            rows = (
                "1 row is a further picture" if self._further == 1 else f"{self._further:,} rows are further pictures"
            )
            notes.append(f"{rows} of the product before, without an ID, and left out: a product has one picture")
        variants = [each for each in self.columns if plain(each.name) == "variantimage" and each.kind and each.values]
        if variants and self._handle is not None:
            notes.append(
                f"{variants[0].name!r} has pictures of variants, which are attributes now: "
                f"{self._options.advised(Role.IMAGE_URL, variants[0].name)} takes them for the products' images"
            )
        return notes

    @property
    def keys(self) -> dict[str, AttributeKind]:
        """The kinds to declare, by the keys that filters use.

        A column that was found to hold integers is declared as float: tomorrow one of its cells may be 9.99. One that
        is empty, or could be of another kind, is not declared: it could not become what it is then.
        """
        found = {}
        for each in self.columns:
            if each.kind and (each.is_strict or (each.values and not each.is_doubtful)):
                is_number = each.kind.is_number and not each.is_strict
                found[key_of(each.name)] = AttributeKind.FLOAT if is_number else each.kind
        return found

    @property
    def unknown(self) -> Mapping[str, InvalidSource]:
        """What was said by hand of columns that are not here: the refusal by the name."""
        return self._header.unknown

    def sentences(self) -> list[str]:
        """What is said of each column, as a line."""
        return [each.sentence() for each in self._told()]

    def as_json(self, examples: int = 10, most: int = 100) -> list[dict[str, Any]]:
        return [each.as_json(examples) for each in self._told()[:most]]

    def records(self) -> Iterator[Record]:
        """What the rows say, in their order. From then on columns tell which cells do not fit."""
        self._misfits = [Missing() for _ in self.columns]
        with closing(self._rows()) as rows:
            next(rows)
            for row in self._of_products(rows):
                yield Record(row.line, error=InvalidChange(row.wrong)) if row.wrong else self._record(row)

    def _told(self) -> list[Column]:
        """The columns but those that have neither a name nor a cell."""
        told = zip(self.columns, self._misfits, strict=True)
        return [
            replace(each, values=each.values - wrong.count, misfits=wrong) if wrong.count else each
            for each, wrong in told
            if each.name or each.note
        ]

    def _record(self, row: Row) -> Record:
        roles = {role: row.cells[n] for role, n in self._roles.items()}
        attributes = {}
        error: LookalikeError | None = None
        for n, column in self._attributes:
            try:
                value = column.value(row.cells[n])
            except InvalidAttributes as misfit:
                self._misfits[n].add(row.line, row.cells[n].strip())
                error = error or misfit
                continue
            if value is not None:
                attributes[column.name] = value
        return Record(row.line, roles, attributes, error, "attributes" if error else None)

    def _rows(self) -> Generator[Row, None, None]:
        with self._refusing(), closing(rows_of(self._file, self._encoding, self._form)) as rows:
            yield from rows

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """What cannot be decoded at all is refused."""
        try:
            yield
        except UnicodeError as error:
            raise InvalidSource(
                f"{self.name} is no text in {self._encoding.shown} ({error}); save it in UTF-8, or say what it is in "
                f"with {self._options.ask_encoding}NAME."
            ) from error

    def _first(self, rows: Iterator[Row]) -> list[str]:
        first = next(rows, None)
        if first is None:
            raise InvalidSource(
                f"{self.name} has no rows, and so no column product_id: its first one names the columns."
            )
        if first.wrong or any("\0" in cell for cell in first.cells):
            raise InvalidSource(
                f"{self.name} line {first.line} names no columns: {first.wrong or 'it is no text.'} Read as "
                f"{self._encoding.shown}; save it in UTF-8, or say what it is in with {self._options.ask_encoding}NAME."
            )
        if len(first.cells) > MAX_COLUMNS:
            raise InvalidSource(f"{self.name} has {len(first.cells):,} columns; at most {MAX_COLUMNS:,} are allowed.")
        return first.cells

    def _further_pictures(self) -> int | None:
        """The column that shows which rows of a shop's export belong together, where rows may be but pictures."""
        if plain(self._header.names[self._roles[Role.PRODUCT_ID]]) != "variantsku":
            return None
        handles = self._header.called(["handle"])
        return handles[0] if len(handles) == 1 else None

    def _of_products(self, rows: Iterator[Row]) -> Iterator[Row]:
        """The rows, and those that are none, but for further pictures, which are counted."""
        self._further = 0
        handle = ""
        for row in rows:
            if self._handle is not None and not row.wrong:
                before, handle = handle, row.cells[self._handle]
                if self._is_further(row, before):
                    self._further += 1
                    continue
            yield row

    def _is_further(self, row: Row, handle: str) -> bool:
        assert self._handle is not None
        is_same = row.cells[self._handle] == handle != ""
        # A row that says anything of a variant, such as its price, is a product that lacks its ID.
        return is_same and not any(row.cells[n].strip() for n in self._variant)

    def _learned(self, rows: Iterator[Row], declared: Mapping[str, AttributeKind]) -> list[Column]:
        learners = [Learner(name) for name in self._header.names]
        sees = [learner.see for learner in learners]
        for row in self._of_products(rows):
            if row.wrong:
                continue
            line = row.line
            for see, cell in zip(sees, row.cells, strict=False):
                see(line, cell)
        places = {self._header.place(name): said for name, said in self._options.kinds.items()}
        by_hand = {n: said for n, said in places.items() if n is not None}
        roles = {n: " or ".join(role for role, at in self._roles.items() if at == n) for n in self._roles.values()}
        for n, said in by_hand.items():
            if n in roles:
                raise InvalidSource(
                    f"{self.name}: the column {self._header.names[n]!r} is {roles[n]}; leave out "
                    f"{self._options.advised(self._header.names[n], said)}."
                )
        # Who writes 12,50 in one column means a thousand times as much by 1.299 in another.
        points = self._form.delimiter == "," and not any(learner.has_decimal_commas for learner in learners)
        columns = []
        for n, learner in enumerate(learners):
            if n in roles and roles[n] in self._use.optional:
                columns.append(learner.left_out("images are those of the paths given"))
            elif n in roles:
                columns.append(replace(learner.left_out(), taken_as=roles[n]))
            else:
                columns.append(self._column(learner, by_hand.get(n), declared, points))
        self._check_names(columns)
        return columns

    def _column(
        self, learner: Learner, said: ByHand | None, declared: Mapping[str, AttributeKind], points: bool
    ) -> Column:
        if not learner.name:
            first = learner.first_filled
            return learner.left_out(f"it has no name (line {first.line} {first.text!r})" if first else "")
        if said is ByHand.SKIP:
            return learner.left_out("said by hand")
        key = self._key(learner.name)
        kind = declared.get(key)
        advice = self._options.ask + (f'"{learner.name}"' if " " in learner.name else learner.name)
        if said is None:
            if kind:
                return learner.declared(kind, advice)
            return learner.detected(advice, points)
        assert said.kind is not None
        if kind and kind is not said.kind and not (kind is AttributeKind.FLOAT and said.kind.is_number):
            raise InvalidSource(
                f"{self.name}: the catalog declares {learner.name!r} as {kind}, so it cannot be {said}; leave out "
                f"{self._options.advised(learner.name, said)}."
            )
        return learner.declared(said.kind, advice, said)

    def _key(self, name: str) -> str:
        try:
            return key_of(name)
        except ValueError as error:
            raise InvalidSource(
                f"{self.name} has a column that filters cannot name: {error}. Rename it, or leave it out with "
                f"{self._options.advised(shown(name, 80), ByHand.SKIP)}."
            ) from error

    def _check_names(self, columns: Sequence[Column]) -> None:
        seen = set()
        for each in columns:
            if each.kind and each.name in seen:
                raise InvalidSource(f"{self.name} names the column {each.name!r} twice; leave one of the two.")
            seen.add(each.name if each.kind else "")
