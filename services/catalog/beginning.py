"""The beginning of a generation: whether it may be, what its features learn, and its description."""

from dataclasses import replace
from datetime import UTC, datetime

from services.catalog.catalog import Catalog
from services.catalog.catalogs import Catalogs
from services.catalog.learning import Learning, check_enough, learned_from
from services.catalog.opening import CatalogOptions
from services.catalog.switching import BUILT, check_begin, check_differs, is_wanted, wanted
from services.descriptions import CatalogSpec, Generation, GenerationState, live, made_by, rfc3339


def check(catalogs: Catalogs, name: str, options: CatalogOptions, fewest: int) -> None:
    """See `Generations.check`."""
    catalog = catalogs.renewed(name)
    now = catalog.spec
    if any(each.state in BUILT and is_wanted(each, options) for each in now.generations):
        return
    check_begin(now)
    new = wanted(now, options)
    if new.encoder == now.encoder and new.weights == now.weights and new.learned == now.learned:
        # Of the same weights, a fingerprint differs by the resampling and the features alone.
        new = replace(new, fingerprint=now.fingerprint if made_by(new) == made_by(now) else None)
        check_differs(now, live(new))
    if _has_to_learn(new):
        check_enough(name, catalog.count(), fewest)


def begun(
    catalogs: Catalogs, name: str, options: CatalogOptions, watch: Learning, fewest: int
) -> tuple[Catalog, Generation]:
    """The catalog with a next generation, and that. See `Generations.begin`."""
    now = catalogs.renewed(name).spec
    check_begin(now)
    new = wanted(now, options)
    try:
        generation = _made(catalogs, new, watch, fewest)

        def change(now: CatalogSpec) -> CatalogSpec:
            check_begin(now)
            check_differs(now, generation)
            return replace(now, generations=(*now.generations, generation))

        return catalogs.describe(now, change), generation
    except BaseException:
        # A network that was loaded in vain is hundreds of MB of memory.
        catalogs.release(new)
        raise


def _made(catalogs: Catalogs, new: CatalogSpec, watch: Learning, fewest: int) -> Generation:
    """The generation that a description is to have, with what its features have learned."""
    began = rfc3339(datetime.now(UTC))
    if _has_to_learn(new):
        new = replace(new, learned=_learned(catalogs, new, watch, fewest))
    new = replace(new, fingerprint=catalogs.encoder(new).fingerprint(), generation_created_at=began)
    watch(0)
    return replace(live(new), state=GenerationState.NEXT)


def _has_to_learn(new: CatalogSpec) -> bool:
    return new.features == "tuned" and new.learned is None


def _learned(catalogs: Catalogs, new: CatalogSpec, watch: Learning, fewest: int) -> str:
    """What the features of a new generation learn, as the hash of the object that has it."""
    catalog, intake = catalogs.renewed(new.name), catalogs.intake
    check_enough(new.name, catalog.count(), fewest)
    network = catalogs.network(new)
    watch(0)
    return intake.media.put_object(learned_from(new, catalog.beside.live.index, intake, network, watch, fewest))
