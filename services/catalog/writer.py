"""One batch of changes on its way into the index: what is stored is read, images become vectors, all is written."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial

import numpy as np

from services.attributes import checked_attributes, merged
from services.catalog.features import normalized
from services.catalog.plan import LateImage, Plan, PlannedChange
from services.catalog.versions import Versions
from services.errors import (
    DuplicateProduct,
    ImageFeatureless,
    IndexUnavailable,
    InvalidChange,
    LookalikeError,
    ProductNotFound,
)
from services.failpoints import hit
from services.images.intake import Intake, Observe, Picture, Taken
from services.index.vector_index import VectorIndex
from services.names import checked_product_id
from services.records import (
    Attributes,
    AttributeUpdate,
    Change,
    ChangeKind,
    ImageSource,
    Outcome,
    Pixels,
    Point,
    Resample,
    State,
    Tombstone,
    Vectors,
)

ROUNDS = 10
"""How often a change is tried whose product another writer moves at the same time."""


Finish = Callable[[], list[Outcome]]
"""Waits for the images that were late; gives how their changes ended. Raises what `Catalog.apply` does."""


class Writer:
    """Applies batches of changes to one catalog. Thread-safe.

    `encode` takes pixels to raw features, `not_found` gives the error of a product that is not there, and `observe`
    is told stages and their seconds.
    """

    def __init__(
        self,
        index: VectorIndex,
        intake: Intake,
        *,
        size: int,
        resample: Resample,
        encode: Callable[[Pixels], Vectors],
        versions: Versions,
        not_found: Callable[[str], ProductNotFound],
        check_space: Callable[[int], None],
        observe: Observe,
    ) -> None:
        self._index = index
        self._intake = intake
        self._size = size
        self._resample = resample
        self._encode = encode
        self._versions = versions
        self._not_found = not_found
        self._check_space = check_space
        self._observe = observe

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
        outcomes, late = self._rounds(changes, {}, early=early)
        left = [change for change in changes if change.product_id in late]
        return _in_order(outcomes, changes), partial(self._finish, left, late) if left else None

    def _finish(self, changes: Sequence[Change], arrivals: Mapping[str, LateImage]) -> list[Outcome]:
        # What is stored is read when all are here, or it would be old by the time of the write.
        wait([each.taken for each in arrivals.values()])
        outcomes, _ = self._rounds(changes, arrivals, early=False)
        return _in_order(outcomes, changes)

    def _rounds(
        self, changes: Sequence[Change], arrivals: Mapping[str, LateImage], *, early: bool
    ) -> tuple[dict[str, Outcome], dict[str, LateImage]]:
        """The outcomes by product, and which images are late; each change is in one of them."""
        outcomes: dict[str, Outcome] = {}
        late: dict[str, LateImage] = {}
        for _ in range(ROUNDS):
            left = [each for each in changes if each.product_id not in outcomes and each.product_id not in late]
            if not left:
                return outcomes, late
            plan = self._round(left, arrivals, early=early)
            outcomes |= plan.outcomes
            late |= plan.late
        raise IndexUnavailable(f"Product {left[0].product_id!r} changes faster than it can be written; try again.")

    def _round(self, changes: Sequence[Change], arrivals: Mapping[str, LateImage], *, early: bool) -> Plan:
        """What became of them. A change that met another writer has no outcome: it is to be planned anew."""
        self._check_space(0)
        plan = Plan()
        tasks = self._tasks(changes, plan)
        pictures = self._pictures(tasks, plan, arrivals, early=early)
        self._plan_points([task for task in tasks if task.product_id in pictures], pictures, plan)
        planned = plan.outcomes.keys() | plan.ends.keys() | plan.late.keys()
        for task in tasks:
            if task.product_id in planned:
                continue
            if task.change.kind is ChangeKind.DELETE:
                self._plan_removal(task, plan)
            else:
                self._plan_update(task, plan)
        self._write(plan)
        return plan

    def _tasks(self, changes: Sequence[Change], plan: Plan) -> list[PlannedChange]:
        """What there is to do; the outcomes of the other changes are known from what is stored."""
        sound = [change for change in changes if _checked(change, plan)]
        points = self._index.get([change.product_id for change in sound])
        gone = [change.product_id for change, point in zip(sound, points, strict=True) if point is None]
        versions = dict(zip(gone, self._index.versions(gone), strict=True)) if gone else {}
        tasks = []
        for change, point in zip(sound, points, strict=True):
            stored = point.version if point else versions[change.product_id] or 0
            if change.version is not None and change.version <= stored:
                plan.end(change.product_id, State.APPLIED if change.version == stored else State.SUPERSEDED)
                continue
            try:
                tasks.append(PlannedChange(change, point, stored, self._attributes(change, point)))
            except LookalikeError as error:
                plan.fail(change, error)
        return tasks

    def _attributes(self, change: Change, point: Point | None) -> Attributes:
        """Those the product will have."""
        if change.kind is ChangeKind.PATCH:
            if point is None:
                raise self._not_found(change.product_id)
            return merged(point.attributes, change.attributes or {})
        if change.attributes is None:
            return point.attributes if point else {}
        return checked_attributes(change.attributes)

    def _pictures(
        self, tasks: Sequence[PlannedChange], plan: Plan, arrivals: Mapping[str, LateImage], *, early: bool
    ) -> dict[str, Picture]:
        """The images that are to be encoded, by product."""
        taken: list[tuple[PlannedChange, Taken | Future[Taken]]] = []
        wanted: list[tuple[PlannedChange, ImageSource]] = []
        for task in tasks:
            arrival = arrivals.get(task.product_id)
            if arrival and arrival.known == task.known:
                taken.append((task, arrival.taken.result()))
            elif task.image is not None:
                wanted.append((task, task.image))
        if wanted:
            images = [(image, task.known) for task, image in wanted]
            found = self._intake.pictures(images, self._size, self._resample, self._observe, early=early)
            taken += zip((task for task, _ in wanted), found, strict=True)
        pictures = {}
        for task, picture in taken:
            if isinstance(picture, Picture):
                pictures[task.product_id] = picture
            elif isinstance(picture, Future):
                plan.late[task.product_id] = LateImage(task.known, picture)
            elif picture is not None:
                plan.fail_image(task.change, picture)
        return pictures

    def _plan_points(self, tasks: Sequence[PlannedChange], pictures: Mapping[str, Picture], plan: Plan) -> None:
        if not tasks:
            return
        hit("encode")
        with self._stage("encode"):
            features = self._encode(np.stack([pictures[task.product_id].pixels for task in tasks]))
        self._observe("images", len(tasks))
        for task, raw in zip(tasks, features, strict=True):
            try:
                vector, norm = normalized(raw)
            except ImageFeatureless as error:
                plan.fail_image(task.change, error)
                continue
            image = pictures[task.product_id].hash
            plan.points.append(Point(task.product_id, self._version(task), vector, norm, task.attributes, image))
            plan.ends[task.product_id] = State.APPLIED

    def _plan_removal(self, task: PlannedChange, plan: Plan) -> None:
        state = State.APPLIED if task.point else State.UNCHANGED
        if task.point is None and task.change.version is None:
            plan.end(task.product_id, state)
            return
        # Also where nothing is stored: an older put may still be on its way.
        plan.points.append(Tombstone(task.product_id, self._version(task), time.time()))
        plan.ends[task.product_id] = state

    def _plan_update(self, task: PlannedChange, plan: Plan) -> None:
        state = State.APPLIED if task.has_new_attributes else State.UNCHANGED
        if state is State.UNCHANGED and task.change.version is None:
            plan.end(task.product_id, state)
            return
        image = task.point.image if task.point and task.image is not None else None
        plan.updates.append(AttributeUpdate(task.product_id, self._version(task), task.attributes, image))
        plan.ends[task.product_id] = state

    def _version(self, task: PlannedChange) -> int:
        return self._versions.next(task.stored) if task.change.version is None else task.change.version

    def _write(self, plan: Plan) -> None:
        if not plan.ends:
            return
        self._check_space(0)
        hit("upsert")
        with self._stage("write"):
            applied = self._index.upsert(plan.points) if plan.points else []
            updated = self._index.update_attributes(plan.updates) if plan.updates else []
            self._index.flush()
        hit("upserted")
        for point, is_applied in zip(plan.points, applied, strict=True):
            plan.end(point.product_id, plan.ends[point.product_id] if is_applied else State.SUPERSEDED)
        for update, is_updated in zip(plan.updates, updated, strict=True):
            if is_updated:
                plan.end(update.product_id, plan.ends[update.product_id])

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


def _checked(change: Change, plan: Plan) -> bool:
    """Whether a change can be done by its own account; what cannot has failed."""
    try:
        checked_product_id(change.product_id)
        if change.kind is ChangeKind.PUT and change.image is None:
            raise InvalidChange(f"A put of product {change.product_id!r} has no image; give one, or send a patch.")
    except LookalikeError as error:
        plan.fail(change, error)
        return False
    return True
