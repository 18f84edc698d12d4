"""What is read of a catalog."""

from collections.abc import Collection, Sequence
from itertools import islice

from services.catalog.facets import AttributeFacets, attribute_facets, facets
from services.catalog.plan import not_found
from services.catalog.sorted_pages import sorted_page
from services.catalog.sorting import Sort, check_unsorted, place_of
from services.catalog.unknown_keys import unknown_keys
from services.descriptions import CatalogSpec
from services.errors import MediaNotFound
from services.images.intake import Intake
from services.index.vector_index import VectorIndex
from services.kinds import Kinds
from services.names import checked_product_id
from services.query.filters import Filter
from services.query.query import MAX_LIMIT, checked_limit
from services.records import Facet, FilterWarning, Point, Product, Vector


class Reading:
    """The part of `Catalog` that changes nothing and needs no encoder."""

    def __init__(self, spec: CatalogSpec, index: VectorIndex, intake: Intake) -> None:
        self.spec = spec
        self._index = index
        self._intake = intake

    @property
    def max_image_bytes(self) -> int:
        """Bytes that an image may have."""
        return self._intake.max_bytes

    @property
    def kinds(self) -> Kinds:
        """What values of the indexed attributes have to be."""
        return Kinds(self.spec.indexed_attributes)

    def get(self, product_id: str) -> Product:
        """Raises `ProductNotFound`."""
        return _product(self._point(product_id))

    def held(self, product_ids: Collection[str]) -> set[str]:
        """Those of these products that there are."""
        asked, found = iter(product_ids), set[str]()
        while some := list(islice(asked, MAX_LIMIT)):
            found.update(point.product_id for point in self._index.get(some) if point)
        return found

    def scroll(
        self, *, after: str | None = None, limit: int = 100, filter: Filter | None = None, sort: str | None = None
    ) -> tuple[list[Product], str | None]:
        """The next products, and the cursor that goes on (None: that was all).

        Without `sort` they are in an order of the index's own. With `price`, a key that is declared as integer or
        float, the smallest number comes first, and with `-price` the largest. Of several numbers the smallest counts,
        or with `-` the largest. Products without one come last; these, and those whose numbers agree in their first 15
        digits (whole numbers: exactly, up to 2**53), are in the index's own order. A product that is stored with the
        same number from the first page to the last is returned exactly once.

        Where values of other kinds are stored at the key, which have no place among numbers and count as none, or
        integers beyond 2**53, all products are read for each page.

        Raises:
            InvalidInput: `after` is no cursor of a list with this sort and filter.
            NotSortable: `sort` names no such key.
        """
        if sort is not None:
            return self._sorted(Sort.parsed(sort, self.spec.indexed_attributes), after, checked_limit(limit), filter)
        check_unsorted(after)
        points, cursor = self._index.scroll(after=after, limit=checked_limit(limit), filter=filter)
        return [_product(point) for point in points], cursor

    def vectors(self, product_ids: Sequence[str]) -> dict[str, Vector]:
        """The vectors of those of these products that there are, as they are compared: of length one."""
        points = self._index.get(product_ids, vectors=True)
        return {each.product_id: each.vector for each in points if each and each.vector is not None}

    def image(self, product_id: str) -> bytes:
        """The original image. Raises `ProductNotFound`, and `MediaNotFound` where it was not kept."""
        return self._intake.media.get(self._image_hash(product_id))

    def thumbnail(self, product_id: str) -> bytes:
        """A WebP of 320 pixels on its longer side. Raises `ProductNotFound`, `MediaNotFound`, `ImageError`s."""
        return self._intake.media.thumbnail(self._image_hash(product_id), self.thumbnail_of)

    def thumbnail_of(self, image: bytes) -> bytes:
        """The same of a picture that is in no catalog. Raises `ImageError`s."""
        return self._intake.thumbnail(image)

    def count(self, filter: Filter | None = None) -> int:
        """How many products there are."""
        return self._index.count(filter)

    def warnings(self, filter: Filter | None) -> list[FilterWarning]:
        """What may be wrong with a filter after an answer in which nothing is: keys that no product has."""
        return [] if filter is None else unknown_keys(self._index, self.spec.indexed_attributes, filter)

    def max_version(self) -> int:
        """The highest version in the index, those of removed products included."""
        return self._index.max_version()

    def facets(self, attribute: str, *, limit: int = 10, filter: Filter | None = None) -> list[Facet]:
        """The most frequent values of an indexed attribute. Raises `AttributeNotIndexed`."""
        declared = self.spec.indexed_attributes
        return facets(self._index, declared, attribute, limit=checked_limit(limit), filter=filter)

    def attribute_facets(
        self, attributes: Sequence[str], *, limit: int = 10, filter: Filter | None = None
    ) -> list[AttributeFacets]:
        """What the products that pass a filter have for indexed attributes, in their order.

        Of keywords, integers and bools the `limit` most frequent values with their counts; of integers and floats how
        many products have one, the smallest, the largest and a histogram.

        Raises `AttributeNotIndexed`, and `InvalidInput` for more than 20 attributes.
        """
        declared = self.spec.indexed_attributes
        return attribute_facets(self._index, declared, attributes, limit=checked_limit(limit), filter=filter)

    def _sorted(
        self, sort: Sort, after: str | None, limit: int, filter: Filter | None
    ) -> tuple[list[Product], str | None]:
        place = None if after is None else place_of(after, sort, filter)
        points, following = sorted_page(self._index, sort, place, limit=limit, filter=filter)
        cursor = None if following is None else following.cursor(sort, filter)
        return [_product(point) for point in points], cursor

    def _point(self, product_id: str, *, vectors: bool = False) -> Point:
        [point] = self._index.get([checked_product_id(product_id)], vectors=vectors)
        if point is None:
            raise not_found(product_id, self.spec.name)
        return point

    def _image_hash(self, product_id: str) -> str:
        image = self._point(product_id).image
        if image is None:
            raise MediaNotFound(f"Product {product_id!r} was imported without its image; index the image to have it.")
        return image


def _product(point: Point) -> Product:
    return Product(point.product_id, point.attributes, point.image, point.version)
