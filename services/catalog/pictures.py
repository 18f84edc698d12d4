"""The pictures of products, as pixels that another encoder takes than theirs."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice

from services.descriptions import Form
from services.errors import MediaNotFound
from services.images.intake import Intake, Picture, Taken
from services.records import ImageSource, Pixels, Point, RemoteImage, StoredImage

PAGE = 64
"""Products whose pictures are in memory at a time."""


def sampled(
    points: Iterable[Point], intake: Intake, form: Form, page: int = PAGE
) -> Iterator[tuple[list[Point], list[Pixels]]]:
    """Products whose pictures can be had, and these in a form, a page at a time; a page may be empty.

    A picture is the original that is kept, else what the product's URL gives now. Raises what is no image's fault:
    `DecodingUnavailable`, `DataFull`, `DataNotWritable`, `Closed`.
    """
    stream = iter(points)
    while some := list(islice(stream, page)):
        taken = _taken(some, [StoredImage(each.image) if each.image else None for each in some], intake, form)
        missing = [each for each in some if isinstance(taken.get(each.product_id), MediaNotFound) or not each.image]
        taken |= _taken(missing, [RemoteImage(each.url) if each.url else None for each in missing], intake, form)
        found = [(each, picture) for each in some if isinstance(picture := taken.get(each.product_id), Picture)]
        yield [each for each, _ in found], [picture.forms[form] for _, picture in found]


def _taken(
    points: Sequence[Point], sources: Sequence[ImageSource | None], intake: Intake, form: Form
) -> dict[str, Taken | Future[Taken]]:
    wanted = [(each.product_id, source) for each, source in zip(points, sources, strict=True) if source is not None]
    if not wanted:
        return {}
    pictures = intake.pictures([(source, None) for _, source in wanted], form)
    return {product_id: picture for (product_id, _), picture in zip(wanted, pictures, strict=True)}
