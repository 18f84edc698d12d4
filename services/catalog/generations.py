"""The generations of a catalog: the next one is built beside the live one, switched to, gone back from, dropped."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from services.catalog.beginning import begun, check
from services.catalog.catalog import Catalog
from services.catalog.catalogs import Catalogs
from services.catalog.comparing import Comparison, compared
from services.catalog.learning import FEWEST, Learning, learn_of_nothing
from services.catalog.opening import CatalogOptions
from services.catalog.passes import Pass, Watch, added, watch_nothing
from services.catalog.switching import (
    BUILT,
    candidate,
    dropped,
    found,
    given_up,
    is_due,
    is_wanted,
    previous,
    switched,
    switching,
    unless_dropped,
    without,
)
from services.descriptions import CatalogSpec, Generation, GenerationState, as_live, live, rfc3339
from services.encoders.specs import trained
from services.errors import GenerationIncomplete, GenerationNotFound
from services.failpoints import hit
from services.index.vector_index import never

KEEP_SECONDS = 86_400.0
"""How long a generation is kept after another one has become the live one."""


class Generations:
    """The generations of one catalog. Everything may be cut off anywhere and is done by calling it again.

    Args:
        catalogs: The catalogs of this process.
        name: The catalog's name.
        keep_seconds: How long a generation is kept after another one has become the live one.
        page: Products that are brought at a time.
        fewest: Pictures that tuned features need to learn from.
    """

    def __init__(
        self, catalogs: Catalogs, name: str, *, keep_seconds: float = KEEP_SECONDS, page: int = 64, fewest: int = FEWEST
    ) -> None:
        self._catalogs = catalogs
        self._name = name
        self._keep_seconds = keep_seconds
        self._page = page
        self._fewest = fewest

    def all(self) -> list[Generation]:
        """The live one, and the others that are kept. Raises `CatalogNotFound`."""
        spec = self._catalogs.renewed(self._name).spec
        return [live(spec), *spec.generations]

    def live(self) -> str:
        """The ID of the live one at this moment. Raises `CatalogNotFound`."""
        return self._catalogs.renewed(self._name).spec.generation

    def counted(self) -> list[tuple[Generation, int | None]]:
        """All, each with how many products it has; None where it is being dropped. Raises `CatalogNotFound`,
        `IndexUnavailable`."""
        counted: list[tuple[Generation, int | None]] = []
        for each in self.all():
            with suppress(GenerationNotFound):  # it was dropped at this moment
                counted.append((each, None if each.state is GenerationState.DROPPED else self._products(each.id)))
        return counted

    def candidate(self) -> str:
        """The next generation, or the only other one. Raises `GenerationNotFound` where there is none, or several."""
        return candidate(self._name, self.all())

    def find(self, id: str) -> Generation:
        """One of the others. Raises `GenerationNotFound`, `Conflict` for the live one."""
        _, generation = self._other(id)
        return generation

    def check(self, options: CatalogOptions) -> None:
        """Raises what `begin_or_go_on` does, as far as that is known before an encoder is loaded."""
        check(self._catalogs, self._name, options, self._fewest)

    def begin_or_go_on(self, options: CatalogOptions, watch: Learning = learn_of_nothing) -> Generation:
        """The next generation that is being built, where it has what the options say; else `begin`.

        Raises what `begin` does, also where the next generation has something else.
        """
        for each in self.all():
            if each.state in BUILT and is_wanted(each, options):
                return each
        return self.begin(options, watch)

    def begin(self, options: CatalogOptions, watch: Learning = learn_of_nothing) -> Generation:
        """Begins the next generation, empty: from now on every change goes to it, too.

        Tuned features learn from the catalog's pictures before; cut off there, this begins anew.

        Args:
            options: What is different from the live one. With another encoder, the weights are its default ones.
            watch: Called when the encoder is loaded, which may take minutes, and while features learn; what it raises
                ends this.

        Raises:
            GenerationExists: There is a next one already.
            GenerationUnchanged: The live one is what it would be.
            TooFewImages: Tuned features cannot learn from so few.
            CatalogNotFound: There is no such catalog.
            EncoderError: The encoder cannot be loaded.
        """
        catalog, generation = begun(self._catalogs, self._name, options, watch, self._fewest)
        self._prepare(catalog, generation)
        return generation

    def build(
        self,
        id: str,
        *,
        after: str | None = None,
        watch: Watch = watch_nothing,
        stopping: Callable[[], bool] = never,
    ) -> Pass:
        """Brings whatever a generation lacks of the live one, page by page; again, it only finds what is behind.

        Args:
            id: The generation.
            after: Where an earlier pass ended; None begins at the beginning.
            watch: Called with what is done so far after each page.
            stopping: Ends the pass after a page.

        Raises:
            GenerationNotFound: It was dropped.
            Conflict: It is the live one.
            IndexUnavailable, EncoderError, EncoderMismatch, DataFull, DecodingUnavailable, Closed: See `Catalog.apply`.
        """
        catalog, generation = self._other(id)
        self._prepare(catalog, generation)
        done = Pass()
        while True:
            catalog, _ = self._other(id)
            count, brought, after = catalog.beside.bring_page(id, after, self._page)
            done = added(done, count, brought, after)
            watch(done)
            if after is None:
                break
            if stopping():
                return done
        for removed in catalog.beside.bring_removals(id, self._page):
            done = replace(done, brought=done.brought + removed)
        return done

    def behind(self, id: str, *, after: str | None = None, limit: int = 100) -> tuple[list[str], str | None]:
        """Products of the live generation that another one lacks, or has as they were before, and the cursor of the
        next page (None: there is none). It looks at `limit` products, so a page may be empty.

        Raises `GenerationNotFound`, `Conflict` for the live one itself, `InvalidInput` (cursor), `IndexUnavailable`.
        """
        catalog, generation = self._other(id)
        self._prepare(catalog, generation)
        return catalog.beside.behind_page(id, after, limit)

    def reindex(
        self,
        options: CatalogOptions,
        *,
        promote: bool = False,
        allow_missing: bool = False,
        watch: Watch = watch_nothing,
    ) -> tuple[str, Pass]:
        """Builds the next generation, or goes on with it, and with `promote` switches to it.

        Returns its ID and what the last pass found. Raises what `begin_or_go_on`, `build` and `promote` do.
        """
        id = self.begin_or_go_on(options, lambda count: watch(Pass(learned=count))).id
        done = self.build(id, watch=watch)
        return id, self.promote(id, allow_missing=allow_missing, watch=watch) if promote else done

    def compare(self, id: str, *, sample: int = 100, seed: int = 0) -> Comparison:
        """Compares what the live generation and another one find for some products: see `compared`.

        Raises `GenerationNotFound`, `Conflict` for the live one itself, `IndexUnavailable`.
        """
        catalog, generation = self._other(id)
        self._prepare(catalog, generation)
        return compared(catalog.beside.live.index, catalog.beside.index_of(id), sample, seed)

    def promote(self, id: str | None = None, *, allow_missing: bool = False, watch: Watch = watch_nothing) -> Pass:
        """Makes another generation the live one, in one step, when it has all that the live one has.

        That one is kept as a previous one: it gets changes until it is dropped, and can be gone back to.

        Args:
            id: The generation; None: the next one, or the only other one.
            allow_missing: Switch although products cannot be brought, which then are no products of the catalog.
            watch: See `build`.

        Returns:
            What the pass before the switch found.

        Raises:
            GenerationNotFound: There is none of this ID, or none to choose.
            GenerationIncomplete: It lacks products; their changes go on going to both.
            IndexUnavailable and others: See `build`.
        """
        id = self.candidate() if id is None else id
        self._check_complete(id, self.build(id, watch=watch), allow_missing)
        self._describe(lambda now: switching(now, id))
        try:
            # What was written before the mark is found by this pass, and who writes after it sees the mark before the
            # change counts as applied: `Catalog._follow`.
            done = self.build(id, watch=watch)
            self._check_complete(id, done, allow_missing)
            catalog, generation = self._other(id)
            self._prepare(catalog, generation)
            hit("switch")
            self._catalogs.describe(catalog.spec, lambda now: switched(now, id, self._keep_seconds))
            hit("switched")
        except BaseException:
            self._describe(lambda now: given_up(now, id))
            raise
        return done

    def rollback(self, *, allow_missing: bool = False, watch: Watch = watch_nothing) -> Pass:
        """Makes the generation the live one again that was it before, as `promote` does.

        Raises what `promote` does.
        """
        return self.promote(previous(self._name, self.all()), allow_missing=allow_missing, watch=watch)

    def drop(self, id: str) -> None:
        """Removes a generation with its vectors.

        Raises:
            GenerationNotFound: There is none of this ID.
            GenerationLive: It is the live one.
        """
        spec = self._catalogs.renewed(self._name).spec
        hit("drop")
        # Described as dropped first: whoever is cut off in between leaves no vectors that nobody knows of.
        self._finish_drop(self._catalogs.describe(spec, lambda now: dropped(now, id)).spec, id)

    def tend(self) -> list[str]:
        """Drops the generations that are due, and those whose dropping was cut off; returns their IDs."""
        now = rfc3339(datetime.now(UTC))
        spec = self._catalogs.renewed(self._name).spec
        gone = []
        for id in [each.id for each in spec.generations if is_due(each, now)]:
            hit("drop")

            def drop(found: CatalogSpec, id: str = id) -> CatalogSpec:
                # Somebody may go back to it at this moment.
                due = any(each.id == id and is_due(each, now) for each in found.generations)
                return dropped(found, id) if due else found

            described = self._catalogs.describe(spec, drop).spec
            if any(each.id == id and each.state is GenerationState.DROPPED for each in described.generations):
                self._finish_drop(described, id)
                gone.append(id)
        return gone

    def _products(self, id: str) -> int:
        catalog = self._catalogs.renewed(self._name)
        if id == catalog.spec.generation:
            return catalog.count()
        self._prepare(catalog, unless_dropped(catalog.spec, id))
        return catalog.beside.index_of(id).count()

    def _other(self, id: str) -> tuple[Catalog, Generation]:
        """The catalog as it is described now, and one of its other generations."""
        catalog = self._catalogs.renewed(self._name)
        return catalog, unless_dropped(catalog.spec, id)

    def _finish_drop(self, spec: CatalogSpec, id: str) -> None:
        """Removes the vectors of a generation that is described as dropped, and then its description."""
        self._catalogs.remove_vectors(as_live(spec, found(spec, id)))
        self._catalogs.describe(spec, lambda now: without(now, id))

    def _prepare(self, catalog: Catalog, generation: Generation) -> None:
        self._catalogs.registry.prepare(as_live(catalog.spec, generation))
        catalog.beside.index_of(generation.id).declare(catalog.spec.indexed_attributes)

    def _check_complete(self, id: str, done: Pass, allow_missing: bool) -> None:
        if done.missing and not allow_missing:
            named = ", ".join(repr(each.product_id) for each in done.examples[:3])
            raise GenerationIncomplete(
                f"Generation {id} of catalog {self._name} lacks {done.missing} of {done.products} products, such as "
                f"{named}: put them again with their images, or switch without them (allow_missing)."
            )

    def _describe(self, change: Callable[[CatalogSpec], CatalogSpec]) -> None:
        self._catalogs.describe(self._catalogs.renewed(self._name).spec, change)


def described(generation: Generation) -> dict[str, Any]:
    """A generation as it is shown: its fields as JSON, and whether its weights are trained. What objects it has in
    media is its own affair."""
    shown = asdict(generation) | {"state": generation.state.value, "trained": trained(generation.weights)}
    return {name: value for name, value in shown.items() if name not in ("learned", "space")}
