"""The pictures of products, as pixels for another encoder than the one they were put with."""

from collections.abc import Collection, Sequence
from concurrent.futures import Future

from services.descriptions import Form
from services.errors import MediaNotFound
from services.images.intake import Fault, Intake, Picture
from services.records import ImageSource, Point, RemoteImage, StoredImage

Wanted = Sequence[tuple[Point, ImageSource]]
"""Products, and where the image of each is."""


def taken(wanted: Wanted, intake: Intake, form: Form, others: Collection[Form] = ()) -> dict[str, Picture | Fault]:
    """What became of images, by product, in a form, and in others where that is possible.

    Raises what is no image's fault: `DecodingUnavailable`, `DataFull`, `DataNotWritable`, `Closed`.
    """
    if not wanted:
        return {}
    found: dict[str, Picture | Fault] = {}
    pictures = intake.pictures([(source, None) for _, source in wanted], form, others=others)
    for (each, _), picture in zip(wanted, pictures, strict=True):
        assert not isinstance(picture, Future) and picture is not None, "neither late nor known"
        found[each.product_id] = picture
    return found


def pictures_of(points: Sequence[Point], intake: Intake, form: Form) -> dict[str, Picture | Fault]:
    """The picture of each product in a form, in their order: the original that is kept, else what the product's URL
    gives now, which may be another picture; or why there is none. Raises what `taken` does."""
    kept = taken([(each, StoredImage(each.image)) for each in points if each.image], intake, form)
    gone = [each for each in points if isinstance(kept.get(each.product_id, MediaNotFound()), MediaNotFound)]
    fetched = taken([(each, RemoteImage(each.url)) for each in gone if each.url], intake, form)
    return {each.product_id: kept_nowhere(each) for each in points} | kept | fetched


def kept_nowhere(point: Point) -> MediaNotFound:
    return MediaNotFound(
        f"The original of product {point.product_id!r} is kept nowhere, so it cannot be encoded again: put the product "
        "again with its image."
    )
