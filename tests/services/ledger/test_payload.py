"""A change as the ledger stores it comes out as it went in, and what older versions stored is read."""

import pytest
from ledger_words import CATALOG, IMAGE, Accept, End, Take

from services.ledger import Ledger, payload
from services.records import Change, ChangeKind, State

CHANGES = [
    Change("a", image=IMAGE),
    Change("a", image=IMAGE, attributes={"x": None}),
    Change("a", image=IMAGE, refuse_duplicates=True),
    Change("a", image=IMAGE, attributes={}, refuse_duplicates=True),
    Change("a", ChangeKind.PATCH, attributes={"x": [1]}),
    Change("a", ChangeKind.DELETE),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_comes_out_as_it_went_in(change: Change) -> None:
    packed = payload.packed(change)
    own = payload.packed(Change(change.product_id, change.kind, change.image, change.attributes, 7))
    assert payload.change(packed, 40, 1) == Change(
        *("a", change.kind, change.image, change.attributes, 42, change.refuse_duplicates)
    )
    assert payload.change(own, 40, 1).version == 7
    assert payload.waiting_item(packed).product_id == "a"


def test_a_wish_that_is_not_there_takes_no_bytes_and_is_read_as_none() -> None:
    assert payload.packed(CHANGES[0])[17:] == b'["+","a","%s"]' % (payload.image_name(IMAGE) or "").encode()
    assert payload.packed(CHANGES[5])[17:] == b'["-","a"]'


def test_the_wish_stays_with_a_change_that_waits_and_one_that_is_tried_again(
    ledger: Ledger, accept: Accept, take: Take, end: End
) -> None:
    job = accept([CHANGES[0], Change("b", image=IMAGE, refuse_duplicates=True)])
    assert [change.refuse_duplicates for _, _, change in ledger.unfinished(CATALOG)] == [False, True]
    claim = take()
    assert [change.refuse_duplicates for change in claim.changes] == [False, True]
    end(claim, State.FAILED)
    ledger.retry(job.id)
    assert [change.refuse_duplicates for change in take().changes] == [False, True]
