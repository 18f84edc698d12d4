"""What a job removes in the end: found in the catalog by one worker, and appended to the job as changes."""

from collections.abc import Callable

import structlog

from services.catalog.catalog import Catalog
from services.catalog.removal import NAMES_LOST, TOO_MANY, Names, too_many
from services.ledger import Claim, Claims
from services.query.filters import parse

log = structlog.get_logger("workers")


def remove(claims: Claims, claim: Claim, catalog: Catalog, stopping: Callable[[], bool]) -> None:
    """Finds the products of a claimed removal and has the ledger accept the deletion of each.

    Whoever is interrupted leaves the rest to another worker, which decides nothing anew: what has been accepted is
    deleted by then, and is not found again. So a claim is worked on once, and given back if that fails.

    Raises what reading the catalog does, and `LedgerUnavailable`.
    """
    removal = claim.removal
    assert removal is not None
    filter = parse(removal.filter) if removal.filter else None
    names = None if filter else Names(claims.names(claim))
    if names is not None and not names:
        # A feed that removes names one product at least. A Redis that evicts keys must not empty the catalog.
        log.error("nothing is removed, because Redis has lost what the feed named")
        _if_ours(claims, claim, claims.end_removal(claim, NAMES_LOST))
        return
    if not removal.decided:
        if too_many(catalog.removable(removal.version, names=names, filter=filter), removal.most):
            log.warning("nothing is removed, because too much would be", most=removal.most)
            _if_ours(claims, claim, claims.end_removal(claim, TOO_MANY))
            return
        if not _if_ours(claims, claim, claims.decide(claim)):
            return
    for product_ids in catalog.removable(removal.version, names=names, filter=filter):
        if stopping():
            claims.give_back(claim)
            return
        if product_ids and not _if_ours(claims, claim, claims.remove(claim, product_ids)):
            return
    _if_ours(claims, claim, claims.end_removal(claim))


def _if_ours(claims: Claims, claim: Claim, is_ours: bool) -> bool:
    if not is_ours:
        log.info("a removal was canceled, or its lease was over", claim=claim.id)
        claims.give_back(claim)
    return is_ours
