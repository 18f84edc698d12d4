"""Sending changes to a running service, many at a time, and following each to its outcome."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from httpx2 import Response

from api.client.connection import AWAY_SECONDS, Client, kind_of, problem
from api.client.wire import product_path, put_body
from services.attributes import checked_attributes
from services.catalog.removal import Removed
from services.errors import Closed, ImageError, InvalidInput, ProductNotFound
from services.images.budget import IN_HAND, ByteBudget
from services.images.files import read
from services.records import Change, ChangeKind, Outcome, RemoteImage, State, failed

AT_ONCE = 24
"""Changes in progress: the service has 48 places for requests that wait for an outcome, and others want some."""

Sent = dict[Future[Outcome], str]
"""The changes in progress, and the product of each."""


@dataclass(frozen=True, slots=True)
class Timings:
    """How long a change is waited for, in seconds.

    Attributes:
        wait: That one request waits for its outcome; Ctrl-C waits no longer.
        poll: Between two questions for the outcome of a change that takes longer.
        patience: In which a change that the service cannot take now is sent again: the service may be restarting, and
            for half a minute it takes a request that was begun before for one in progress.
        away: In which a service is waited for that does not answer at all.
        silence: Without any outcome, after which the encoder is asked for: perhaps it cannot be loaded.
    """

    wait: float = 5
    poll: float = 0.5
    patience: float = 150.0
    away: float = AWAY_SECONDS
    silence: float = 10.0


TIMINGS = Timings()


class Sender:
    """Sends changes of one catalog."""

    def __init__(
        self, client: Client, path: str, max_image_bytes: int, load_encoder: Callable[[], None], timings: Timings
    ) -> None:
        """
        Args:
            client: The connection to the service.
            path: The catalog's.
            max_image_bytes: Bytes that an image may have here.
            load_encoder: Has the service load the catalog's encoder, and raises where it cannot.
            timings: How long changes are waited for.
        """
        self._client = client
        self._path = path
        self._max_image_bytes = max_image_bytes
        self._load_encoder = load_encoder
        self._timings = timings
        self._budget = ByteBudget(IN_HAND)

    def put(self, changes: Iterable[Change]) -> Iterator[Outcome]:
        """Sends puts of files or bytes: an outcome for each, in the order in which they end.

        Changes of one product are sent in their order, and no more are taken from `changes` than are in progress.
        Raises errors that concern all changes: then, and at Ctrl-C, no more are sent, and those in progress are
        reported if they end soon.
        """
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="put")
        sent: Sent = {}
        try:
            for change in changes:
                while len(sent) == AT_ONCE or change.product_id in sent.values():
                    yield from self._ended(sent)
                if self._client.hurry.is_set():
                    raise Closed("No more is sent, because this process ends; try again.")
                sent[pool.submit(self._put, change)] = change.product_id
                yield from _collect(sent, [future for future in sent if future.done()])
            while sent:
                yield from self._ended(sent)
        except (Exception, KeyboardInterrupt):
            self._client.hurry.set()
            for future in as_completed(sent):
                if future.exception() is None:
                    yield future.result()
            raise
        finally:
            if sent:
                self._client.hurry.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def remove(self, product_ids: Iterable[str]) -> list[Outcome]:
        """Removes products; one that is not there is a failed outcome."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="remove") as pool:
            return list(pool.map(self._remove, product_ids))

    def remove_matching(self, filter: Any) -> Removed:
        """Removes the products that match a filter, of which JSON is given."""
        headers, patience = {"Idempotency-Key": uuid4().hex}, self._timings.patience
        path = f"{self._path}/products/delete"
        job = self._client.json("POST", path, json={"filter": filter}, headers=headers, patience=patience)
        job = self._finished(job, "The removal")
        return Removed(job["removed"], job["not_removed"])

    def _ended(self, sent: Sent) -> Iterator[Outcome]:
        """Waits until one or more changes have ended."""
        while not (done := wait(sent, self._timings.silence, FIRST_COMPLETED).done):
            self._load_encoder()
        yield from _collect(sent, done)

    def _put(self, change: Change) -> Outcome:
        try:
            if isinstance(change.image, RemoteImage):
                return self._outcome(change, self._send("PUT", change.product_id, json=_put_json(change)))
            with self._budget.hold(_size(change.image)) as correct:
                image = read(change.image, self._max_image_bytes) if isinstance(change.image, Path) else change.image
                assert isinstance(image, bytes), "commands put files, bytes and URLs"
                correct(len(image))
                attributes = None if change.attributes is None else checked_attributes(change.attributes)
                answer = self._send("PUT", change.product_id, **put_body(image, attributes))
        except (InvalidInput, ImageError) as error:
            return failed(change.product_id, error)
        return self._outcome(change, answer)

    def _remove(self, product_id: str) -> Outcome:
        outcome = self._outcome(Change(product_id, ChangeKind.DELETE), self._send("DELETE", product_id))
        if outcome.state is State.UNCHANGED:
            try:
                self._client.json("GET", product_path(self._path, product_id))
            except ProductNotFound as error:
                return failed(product_id, error)
        return outcome

    def _send(self, method: str, product_id: str, headers: Mapping[str, str] | None = None, **body: Any) -> Response:
        # Sent again after a lost answer, it is the same change.
        headers = {"Idempotency-Key": uuid4().hex, **(headers or {})}
        path, params = product_path(self._path, product_id), {"wait": self._timings.wait}
        return self._client.send(method, path, params=params, headers=headers, patience=self._timings.patience, **body)

    def _outcome(self, change: Change, answer: Response) -> Outcome:
        """The outcome of a change that was sent. Raises errors that concern more than this change."""
        if answer.status_code in (413, 422):
            refusal = problem(answer)
            return _failed(change, refusal["code"], refusal["detail"])
        if answer.status_code >= 400:
            raise self._client.error(answer)
        job = self._finished(answer.json(), f"The outcome of {change.product_id!r}")
        state = next(state for state in State if job[state])
        if state is not State.FAILED:
            return Outcome(change.product_id, state)
        [item] = self._client.json("GET", f"/v1/jobs/{job['id']}/items", patience=self._timings.patience)["items"]
        return _failed(change, item["code"], item["message"])

    def _finished(self, job: Mapping[str, Any], what: str) -> Mapping[str, Any]:
        """A job when it has finished. Raises `Closed`, which names what is not waited for any more."""
        while job["finished_at"] is None:
            if self._client.hurry.wait(self._timings.poll):
                raise Closed(f"{what} is not waited for any more: ask for job {job['id']}.")
            job = self._client.json("GET", f"/v1/jobs/{job['id']}", patience=self._timings.patience)
        return job


def _collect(sent: Sent, done: Iterable[Future[Outcome]]) -> Iterator[Outcome]:
    for future in done:
        del sent[future]
        yield future.result()


def _put_json(change: Change) -> dict[str, Any]:
    """The body of a put whose image the service fetches. Raises `InvalidAttributes`."""
    assert isinstance(change.image, RemoteImage)
    attributes = {} if change.attributes is None else {"attributes": checked_attributes(change.attributes)}
    return {"image_url": change.image.url, **attributes}


def _size(image: object) -> int:
    """Bytes of an image, 0 where they are not known."""
    with suppress(OSError, ValueError):
        return image.stat().st_size if isinstance(image, Path) else len(image) if isinstance(image, bytes) else 0
    return 0


def _failed(change: Change, code: str, message: str) -> Outcome:
    """Names the file, which the service did not know."""
    kind = kind_of(code)
    if isinstance(change.image, Path) and kind and issubclass(kind, ImageError):
        message = f"{change.image}: {message}"
    return Outcome(change.product_id, State.FAILED, code, message)
