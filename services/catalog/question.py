"""What an evaluation is asked, and whether it can be answered."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self, cast

from services.catalog.catalog import Catalog
from services.catalog.learning import FEWEST, check_enough
from services.catalog.opening import CatalogOptions
from services.catalog.switching import BUILT, unless_dropped, wanted
from services.catalog.unknown_keys import advice, meant
from services.descriptions import CatalogSpec, Generation, made_by
from services.errors import GenerationUnchanged, InvalidInput, LabelUnusable
from services.query.filters import checked_keys

SAMPLE = 5000
"""Products that an evaluation looks at."""
MIN_SAMPLE = 100
MAX_SAMPLE = 20_000
MAX_LABELS = 8
MAX_GENERATIONS = 4
"""Generations beside the live one."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is evaluated by what.

    Attributes:
        labels: Keys of attributes, as filters write them; an evaluation for each.
        group: The key of the attribute that variants of one product share.
        generations: The IDs of those that are compared with the live one. Empty, and without a recipe: the next one,
            or the only other one, if there is one.
        recipe: What is different in a recipe that no generation has. Empty: there is none.
        sample: How many products are looked at, at most.
    """

    labels: tuple[str, ...]
    group: str | None = None
    generations: tuple[str, ...] = ()
    recipe: Mapping[str, str] | None = None
    sample: int = SAMPLE

    def parameters(self) -> dict[str, Any]:
        """It as JSON: the parameters of a task."""
        return {name: [*value] if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        """What these parameters ask."""
        lists = {name: tuple(parameters[name]) for name in ("labels", "generations")}
        return cls(**{**parameters, **lists})

    def checked(self) -> Self:
        """It with each label and generation once.

        Raises:
            InvalidInput: A label or the group is no key, there are too many or no labels, or a size is out of range.
        """
        labels, generations = tuple(dict.fromkeys(self.labels)), tuple(dict.fromkeys(self.generations))
        checked_keys([*labels, *([self.group] if self.group is not None else [])])
        if not 1 <= len(labels) <= MAX_LABELS:
            raise InvalidInput(f"An evaluation takes 1 to {MAX_LABELS} labels, and these are {len(labels)}.")
        if len(generations) > MAX_GENERATIONS:
            raise InvalidInput(f"An evaluation takes up to {MAX_GENERATIONS} generations, not {len(generations)}.")
        if not MIN_SAMPLE <= self.sample <= MAX_SAMPLE:
            raise InvalidInput(f"The sample {self.sample} is refused; it has {MIN_SAMPLE} to {MAX_SAMPLE} products.")
        return replace(self, labels=labels, generations=generations)

    def others(self, spec: CatalogSpec) -> list[Generation]:
        """The generations that are compared with the live one. Raises `GenerationNotFound`."""
        if self.generations or self.recipe:
            return [unless_dropped(spec, id) for id in self.generations if id != spec.generation]
        built = [each for each in spec.kept if each.state in BUILT] or [*spec.kept]
        return built if len(built) == 1 else []

    def check(self, catalog: Catalog, fewest: int = FEWEST) -> None:
        """Raises what is known to be wrong before anything is read or encoded.

        Args:
            catalog: What is evaluated.
            fewest: Pictures that tuned features need to learn from.

        Raises:
            InvalidInput: See `checked`.
            GenerationNotFound: There is none of an ID.
            EncoderUnknown, WeightsError: There is no such recipe.
            GenerationUnchanged: The recipe is that of the live generation.
            TooFewImages: Its features cannot learn from so few.
            LabelUnusable: No product has a value of a label or the group.
        """
        self.checked()
        self.others(catalog.spec)
        if self.recipe and learns(recipe_spec(catalog.spec, self.recipe)):
            check_enough(catalog.spec.name, catalog.count(), fewest)
        self._check_keys(catalog)

    def _check_keys(self, catalog: Catalog) -> None:
        keys = [*self.labels, *([self.group] if self.group is not None else [])]
        for key, other in meant(catalog.beside.live.index, catalog.spec.indexed_attributes, keys).items():
            raise LabelUnusable(f"No product of catalog {catalog.spec.name} has a value at {key}: {advice(other)}.")


def recipe_spec(now: CatalogSpec, recipe: Mapping[str, str]) -> CatalogSpec:
    """The description of a catalog as if a recipe made its live generation, which nothing stores; its fingerprint is
    not known. Raises `EncoderUnknown`, `WeightsError`s, `GenerationUnchanged`.
    """
    new = replace(wanted(now, cast(CatalogOptions, recipe)), fingerprint=None, quantization="none")
    if made_by(new) == made_by(now) and new.learned == now.learned:
        raise GenerationUnchanged(
            f"The live generation of catalog {now.name} is made with {now.encoder} {now.weights} {now.resample} "
            f"{now.features} already: name another encoder, other weights, another resampling or other features, or "
            "leave them all out."
        )
    return new


def learns(made: CatalogSpec) -> bool:
    """Whether its features have to learn before they can be made."""
    return made.features == "tuned" and made.learned is None
