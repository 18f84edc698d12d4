"""What becomes of a catalog's description when its generations change. Nothing here reads, writes or waits."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from services.catalog.opening import CatalogOptions
from services.descriptions import CatalogSpec, Generation, GenerationState, as_live, live, made_by, rfc3339
from services.encoders.networks import dim_of
from services.encoders.specs import DEFAULT_WEIGHTS, checked_spec
from services.errors import (
    Conflict,
    GenerationExists,
    GenerationLive,
    GenerationNotFound,
    GenerationUnchanged,
    IndexUnavailable,
)

BUILT = (GenerationState.NEXT, GenerationState.SWITCHING)
"""The states of a generation that has not been live yet."""


def switched(now: CatalogSpec, id: str, keep_seconds: float) -> CatalogSpec:
    """The description with another live generation; the one that is live now is kept for so long.

    Raises `IndexUnavailable` where it is not switching any more: changes may have counted as applied without it.
    """
    moment = datetime.now(UTC)
    if unless_dropped(now, id).state is not GenerationState.SWITCHING:
        raise IndexUnavailable(f"Somebody else gave up switching to generation {id} of catalog {now.name}; try again.")
    old = replace(
        live(now),
        state=GenerationState.PREVIOUS,
        since=rfc3339(moment),
        drop_at=rfc3339(moment + timedelta(seconds=keep_seconds)),
    )
    return replace(as_live(now, found(now, id)), generations=(*without(now, id).generations, old))


def switching(now: CatalogSpec, id: str) -> CatalogSpec:
    """The description with a generation that is about to become the live one. Raises `GenerationNotFound`."""
    return _marked(now, unless_dropped(now, id), GenerationState.SWITCHING)


def given_up(now: CatalogSpec, id: str) -> CatalogSpec:
    """The description with the state that a generation had before it was switched to, if it still is switching."""
    for each in now.generations:
        if each.id == id and each.state is GenerationState.SWITCHING:
            return _marked(now, each, GenerationState.PREVIOUS if each.drop_at else GenerationState.NEXT)
    return now


def dropped(now: CatalogSpec, id: str) -> CatalogSpec:
    """The description with a generation that is being removed. Raises `GenerationNotFound`, `GenerationLive`."""
    if id == now.generation:
        raise GenerationLive(
            f"Generation {id} of catalog {now.name} is the live one: promote another one first, or remove the catalog."
        )
    return _marked(now, found(now, id), GenerationState.DROPPED)


def is_due(generation: Generation, moment: str) -> bool:
    """Whether a generation is to be removed by now, or was being removed."""
    if generation.state is GenerationState.PREVIOUS:
        return generation.drop_at is not None and generation.drop_at <= moment
    return generation.state is GenerationState.DROPPED


def unless_dropped(spec: CatalogSpec, id: str) -> Generation:
    """One of the other generations that is not being removed. Raises `GenerationNotFound`, `Conflict`."""
    generation = found(spec, id)
    if generation.state is GenerationState.DROPPED:
        raise GenerationNotFound(f"Generation {id} of catalog {spec.name} was dropped.")
    return generation


def _marked(now: CatalogSpec, generation: Generation, state: GenerationState) -> CatalogSpec:
    marked = replace(generation, state=state, since=rfc3339(datetime.now(UTC)))
    return replace(now, generations=tuple(marked if each.id == marked.id else each for each in now.generations))


def is_wanted(generation: Generation, options: CatalogOptions) -> bool:
    """Whether a generation has all that the options name."""
    return all(value in (None, getattr(generation, option)) for option, value in options.items())


def found(spec: CatalogSpec, id: str) -> Generation:
    """One of the other generations. Raises `GenerationNotFound`, `Conflict`."""
    for each in spec.generations:
        if each.id == id:
            return each
    if id == spec.generation:
        raise Conflict(f"Generation {id} of catalog {spec.name} is the live one already.")
    there = ", ".join(each.id for each in spec.generations) or "no other than the live one"
    raise GenerationNotFound(f"Catalog {spec.name} has no generation {id!r}; it has {there}.")


def without(spec: CatalogSpec, id: str) -> CatalogSpec:
    return replace(spec, generations=tuple(each for each in spec.generations if each.id != id))


def wanted(now: CatalogSpec, options: CatalogOptions) -> CatalogSpec:
    """The description of a new generation as if it were the live one. Raises `EncoderUnknown`, `WeightsError`s."""
    encoder = options.get("encoder") or now.encoder
    features = options.get("features") or now.features
    weights = options.get("weights") or (now.weights if encoder == now.encoder else DEFAULT_WEIGHTS)
    new = replace(
        now,
        encoder=encoder,
        weights=checked_spec(weights),
        resample=options.get("resample") or now.resample,
        dim=dim_of(encoder, features),
        quantization=options.get("quantization") or now.quantization,
        generation=uuid4().hex,
        generations=(),
        features=features,
    )
    # Who names the features has them learn anew, of the pictures that there are now.
    keeps = made_by(new) == made_by(now) and options.get("features") is None
    return new if keeps else replace(new, learned=None)


def check_begin(now: CatalogSpec) -> None:
    for each in now.generations:
        if each.state in BUILT:
            raise GenerationExists(
                f"Generation {each.id} of catalog {now.name} ({each.encoder}) is being built already: promote or drop "
                "it first."
            )


def check_differs(now: CatalogSpec, new: Generation) -> None:
    is_same = made_by(now) == made_by(new) if now.fingerprint is None else now.fingerprint == new.fingerprint
    if is_same and now.quantization == new.quantization:
        raise GenerationUnchanged(
            f"The live generation of catalog {now.name} is made with "
            f"{new.fingerprint or f'{new.encoder} {new.weights} {new.resample} {new.features}'} already: name another "
            "encoder, other weights, another resampling, other features or another quantization."
        )


def candidate(name: str, generations: Sequence[Generation]) -> str:
    """The ID of the next of a catalog's generations, or of the only other one.

    Raises `GenerationNotFound` where there is none, or several.
    """
    others = [each for each in generations if each.state not in (GenerationState.LIVE, GenerationState.DROPPED)]
    built = [each for each in others if each.state in BUILT] or others
    if len(built) == 1:
        return built[0].id
    if not built:
        raise GenerationNotFound(
            f"Catalog {name} has no other generation: build one with `lookalike reindex --encoder NAME`."
        )
    raise GenerationNotFound(
        f"Catalog {name} has several other generations, so name one: {', '.join(each.id for each in built)}."
    )


def previous(name: str, generations: Sequence[Generation]) -> str:
    """The ID of the generation that was live last. Raises `GenerationNotFound`."""
    kept = [each for each in generations if each.state is GenerationState.PREVIOUS]
    if not kept:
        raise GenerationNotFound(
            f"No generation of catalog {name} is kept that was live before, so there is none to go back to."
        )
    return kept[-1].id
