"""One batch of changes on its way into the index: what is stored is read, images become vectors, all is written."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from services.catalog.features import normalized
from services.catalog.plan import EncodedImage, PlannedChange, Stored, Write, check_change, image_failed, plan
from services.catalog.refusing import asks, refused
from services.catalog.versions import Versions
from services.descriptions import Form
from services.errors import DuplicateProduct, ImageFeatureless, IndexUnavailable
from services.failpoints import hit
from services.images.intake import Intake, Observe, Picture, Taken
from services.index.vector_index import VectorIndex
from services.kinds import Kinds
from services.records import AttributeUpdate, Change, ImageSource, Outcome, Pixels, State, Vectors

ROUNDS = 10
"""How often a change is tried whose product another writer changes at the same time."""

Finish = Callable[[], list[Outcome]]
"""Waits for the images that were late; gives how their changes ended. Raises what `Catalog.apply` does."""


@dataclass(frozen=True, slots=True)
class LateImage:
    """An image that was late when its batch went on, and the hash of the image that its product had then."""

    stored_image: str | None
    taken: Future[Taken]


@dataclass(slots=True)
class Round:
    """What became of the changes of one try: how they ended, and which images are late.

    A change in neither met another writer, and is to be tried again. `pictures` are the images that were taken in, by
    hash.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    late: dict[str, LateImage] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)

    def end(self, outcome: Outcome) -> None:
        self.outcomes[outcome.product_id] = outcome

    def left(self, changes: Sequence[Change]) -> list[Change]:
        """The changes that are in neither."""
        return [each for each in changes if each.product_id not in self.outcomes and each.product_id not in self.late]


class Writer:
    """Applies batches of changes to one catalog. Thread-safe.

    Args:
        index: Where products are read and written.
        catalog: The catalog's name, for error messages.
        intake: Where images come from, as pixels.
        form: What pixels the encoder takes.
        encode: Pixels to raw features.
        kinds: What the catalog declares now for the values of attributes.
        versions: Numbers the changes that have no version.
        check_space: Raises `DataFull` where so many bytes should not be written.
        observe: Called with stages and their seconds.
        forms: The other forms of pixels that are wanted of the images that are taken in.
        lowest: The score below which a product is no duplicate of a picture; called where that matters.
        written: Called with outcomes before they are returned, and with the images that were taken in for them.
    """

    def __init__(
        self,
        index: VectorIndex,
        catalog: str,
        intake: Intake,
        *,
        form: Form,
        encode: Callable[[Pixels], Vectors],
        kinds: Callable[[], Kinds],
        versions: Versions,
        check_space: Callable[[int], None],
        observe: Observe,
        forms: Callable[[], Collection[Form]] = tuple,
        lowest: Callable[[], float] = lambda: -1.0,
        written: Callable[[Sequence[Outcome], Mapping[str, Picture]], None] = lambda outcomes, pictures: None,
    ) -> None:
        self._index = index
        self._catalog = catalog
        self._intake = intake
        self._form = form
        self._encode = encode
        self._kinds = kinds
        self._versions = versions
        self._check_space = check_space
        self._observe = observe
        self._forms = forms
        self._lowest = lowest
        self._written = written

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """See `Catalog.apply`."""
        outcomes, _ = self._apply(changes, early=False)
        return outcomes

    def apply_early(self, changes: Sequence[Change]) -> tuple[list[Outcome], Finish | None]:
        """See `Catalog.apply_early`."""
        return self._apply(changes, early=True)

    def _apply(self, changes: Sequence[Change], *, early: bool) -> tuple[list[Outcome], Finish | None]:
        _check_once(changes)
        self._observe("batch", len(changes))
        done = self._rounds(changes, {}, early=early)
        self._written([*done.outcomes.values()], done.pictures)
        left = [change for change in changes if change.product_id in done.late]
        return _in_order(done.outcomes, changes), partial(self._finish, left, done.late) if left else None

    def _finish(self, changes: Sequence[Change], arrived: Mapping[str, LateImage]) -> list[Outcome]:
        # What is stored is read when all are here, or it would be old by the time of the write.
        wait([each.taken for each in arrived.values()])
        done = self._rounds(changes, arrived, early=False)
        self._written([*done.outcomes.values()], done.pictures)
        return _in_order(done.outcomes, changes)

    def _rounds(self, changes: Sequence[Change], arrived: Mapping[str, LateImage], *, early: bool) -> Round:
        """How all changes ended, or which images are late: each change is in one of them."""
        all_done = Round()
        for _ in range(ROUNDS):
            left = all_done.left(changes)
            if not left:
                return all_done
            done = self._round(left, arrived, early=early)
            all_done.outcomes |= done.outcomes
            all_done.late |= done.late
            all_done.pictures |= done.pictures
        raise IndexUnavailable(f"Product {left[0].product_id!r} changes faster than it can be written; try again.")

    def _round(self, changes: Sequence[Change], arrived: Mapping[str, LateImage], *, early: bool) -> Round:
        self._check_space(0)
        done = Round()
        kinds = self._kinds()
        planned = self._planned(changes, kinds, done)
        pictures = self._pictures(planned, arrived, done, early=early)
        encoded = self._encoded(
            [(each, pictures[each.product_id]) for each in planned if each.product_id in pictures], done
        )
        if asks(planned, encoded):
            with self._stage("duplicates"):
                for refusal in refused(self._index, planned, encoded, self._lowest()):
                    done.end(refusal)
        writes = []
        for each in self._still_planned(planned, kinds, done):
            image = encoded.get(each.product_id)
            if image or each.writes:
                writes.append(each.write(self._version(each), time.time(), image))
            else:
                done.end(Outcome(each.product_id, each.state))
        self._write(writes, done)
        return done

    def _planned(self, changes: Sequence[Change], kinds: Kinds, done: Round) -> list[PlannedChange]:
        """What there is to do; how the other changes end is known from what is stored."""
        for change in changes:
            if failure := check_change(change):
                done.end(failure)
        sound = done.left(changes)
        planned = []
        for change, stored in zip(sound, self._stored([change.product_id for change in sound]), strict=True):
            decided = plan(change, stored, self._catalog, kinds)
            if isinstance(decided, Outcome):
                done.end(decided)
            else:
                planned.append(decided)
        return planned

    def _still_planned(self, planned: Sequence[PlannedChange], kinds: Kinds, done: Round) -> Iterator[PlannedChange]:
        """What has not ended, planned anew where an attribute was declared while images were fetched and encoded."""
        now = self._kinds()
        for each in planned:
            if each.product_id in done.outcomes or each.product_id in done.late:
                continue
            decided = each
            if now.declared != kinds.declared:
                again = plan(each.change, each.stored, self._catalog, now)
                if isinstance(again, Outcome):
                    done.end(again)
                    continue
                decided = again
            yield decided

    def _stored(self, product_ids: Sequence[str]) -> list[Stored]:
        points = self._index.get(product_ids)
        gone = [product_id for product_id, point in zip(product_ids, points, strict=True) if point is None]
        versions = dict(zip(gone, self._index.versions(gone), strict=True)) if gone else {}
        return [
            Stored(point, point.version if point else versions[product_id] or 0)
            for product_id, point in zip(product_ids, points, strict=True)
        ]

    def _pictures(
        self, planned: Sequence[PlannedChange], arrived: Mapping[str, LateImage], done: Round, *, early: bool
    ) -> dict[str, Picture]:
        """The images that are to be encoded, by product."""
        taken: list[tuple[PlannedChange, Taken | Future[Taken]]] = []
        wanted: list[tuple[PlannedChange, ImageSource]] = []
        for each in planned:
            late = arrived.get(each.product_id)
            if late and late.stored_image == each.stored_image:
                taken.append((each, late.taken.result()))
            elif each.image is not None:
                wanted.append((each, each.image))
        if wanted:
            images = [(image, each.stored_image) for each, image in wanted]
            found = self._intake.pictures(images, self._form, self._observe, early=early, others=self._forms())
            taken += zip((each for each, _ in wanted), found, strict=True)
        pictures = {}
        for each, picture in taken:
            if isinstance(picture, Picture):
                pictures[each.product_id] = picture
                done.pictures[picture.hash] = picture
            elif isinstance(picture, Future):
                done.late[each.product_id] = LateImage(each.stored_image, picture)
            elif picture is not None:
                done.end(image_failed(each.change, picture))
        return pictures

    def _encoded(self, images: Sequence[tuple[PlannedChange, Picture]], done: Round) -> dict[str, EncodedImage]:
        """The vectors of images, by product."""
        encoded: dict[str, EncodedImage] = {}
        if not images:
            return encoded
        hit("encode")
        with self._stage("encode"):
            features = self._encode(np.stack([picture.pixels for _, picture in images]))
        self._observe("images", len(images))
        for (each, picture), raw in zip(images, features, strict=True):
            try:
                vector, norm = normalized(raw)
            except ImageFeatureless as error:
                done.end(image_failed(each.change, error))
                continue
            encoded[each.product_id] = EncodedImage(vector, norm, picture.hash, picture.perceptual)
        return encoded

    def _version(self, planned: PlannedChange) -> int:
        own = planned.change.version
        return self._versions.next(planned.stored.version) if own is None else own

    def _write(self, writes: Sequence[Write], done: Round) -> None:
        if not writes:
            return
        self._check_space(0)
        points, updates = [], []
        for write in writes:
            if isinstance(write.record, AttributeUpdate):
                updates.append((write.record, write.state))
            else:
                points.append((write.record, write.state))
        hit("upsert")
        with self._stage("write"):
            applied = self._index.upsert([point for point, _ in points]) if points else []
            updated = self._index.update_attributes([update for update, _ in updates]) if updates else []
            self._index.flush()
        hit("upserted")
        for (point, state), is_applied in zip(points, applied, strict=True):
            done.end(Outcome(point.product_id, state if is_applied else State.SUPERSEDED))
        for (update, state), is_updated in zip(updates, updated, strict=True):
            if is_updated:
                done.end(Outcome(update.product_id, state))

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._observe(name, time.perf_counter() - started)


def _in_order(outcomes: Mapping[str, Outcome], changes: Sequence[Change]) -> list[Outcome]:
    return [outcomes[change.product_id] for change in changes if change.product_id in outcomes]


def _check_once(changes: Sequence[Change]) -> None:
    seen = set()
    for change in changes:
        if change.product_id in seen:
            raise DuplicateProduct(f"A batch has two changes of product {change.product_id!r}; put them into two.")
        seen.add(change.product_id)
