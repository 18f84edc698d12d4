"""The errors of Lookalike.

Each class has a stable `code`, which is part of the product's interface, and says whether repeating the same
operation can succeed (`retryable`). A message is one sentence that names what is wrong and how to fix it.

    LookalikeError
    ├── InvalidInput               the request is wrong; nothing was done
    │   ├── InvalidProductID
    │   ├── DuplicateProduct
    │   ├── InvalidAttributes
    │   ├── InvalidFilter
    │   ├── InvalidVector
    │   ├── InvalidCatalog
    │   ├── InvalidSource          a folder, list or archive that cannot be read
    │   ├── InvalidSetting
    │   ├── InvalidChange          a malformed change, or a body without one
    │   ├── AttributeNotIndexed
    │   ├── InvalidQuery           terms that cannot be read, or that point nowhere
    │   ├── NotSortable            an attribute that is not declared as a number
    │   └── LabelUnusable          no product has it, or no two products share a value
    ├── NotFound
    │   ├── CatalogNotFound
    │   ├── ProductNotFound
    │   ├── GenerationNotFound
    │   ├── DirectionNotFound
    │   ├── JobNotFound
    │   └── MediaNotFound
    ├── Conflict                   the request is valid, but not for this catalog
    │   ├── CatalogExists
    │   ├── IdempotencyConflict    the same key with another body, or while the first is in progress
    │   ├── EncoderMismatch
    │   ├── GenerationExists       another one is being built
    │   ├── GenerationUnchanged    it would be what the live one is
    │   ├── GenerationLive         the live one cannot be dropped
    │   ├── GenerationIncomplete   it lacks products that the live one has
    │   ├── GenerationChanged      another one has become the live one
    │   ├── TooFewProducts         percentiles would be chance
    │   ├── TooFewExamples         nothing can be learned from so few
    │   ├── DirectionWeak          it hardly tells its own examples apart
    │   └── DuplicatePicture       another product shows it, and its put wants that to be refused
    ├── ImageError                 a fault of one image: recorded as its result, never ends a run
    │   ├── ImageNotReadable       the file is missing or may not be opened
    │   ├── ImageUnsupported       not an image, or of a format that is not supported
    │   ├── ImageCorrupt           truncated or damaged
    │   ├── ImageTooLarge          too many bytes
    │   ├── ImageTooManyPixels
    │   ├── ImageDecodeTimeout
    │   ├── ImageDecodeCrashed
    │   └── ImageFeatureless       the encoder returned only zeros, or NaN or infinity
    ├── FetchError                 a fault of one URL: recorded as its result, never ends a run
    │   ├── FetchRefused               not a public address, not http(s), or another URL that is not followed
    │   ├── FetchNotFound              401, 403, 404, 410 and other permanent statuses
    │   ├── FetchTooLarge
    │   ├── FetchUnreachable           no address, no connection, connection lost (retryable)
    │   ├── FetchTimeout               (retryable)
    │   └── FetchFailed                429, 5xx (retryable)
    ├── EncoderError
    │   ├── EncoderUnknown
    │   ├── PrecisionUnavailable
    │   └── WeightsError
    │       ├── WeightsNotFound
    │       ├── WeightsUnreachable     (retryable)
    │       └── WeightsInvalid         truncated, or of another network
    ├── DataError                  the data folder
    │   ├── DataLocked                 (retryable)
    │   ├── ServiceUnavailable         the service that uses it does not answer (retryable)
    │   ├── DataNotWritable
    │   ├── DataFull                   (retryable)
    │   └── DataCorrupt
    ├── FormatTooNew               data folder, ledger or catalog: written by a newer version
    ├── Busy                       try again later (retryable)
    │   ├── QueueFull
    │   └── ProductBusy                too many waiting changes of one product
    ├── WorkerCrashed              a change that crashed its worker repeatedly
    ├── DecodingUnavailable        child processes for decoding cannot be started
    ├── Closed                     this process is shutting down (retryable)
    ├── LedgerUnavailable              (retryable)
    ├── IndexUnavailable               (retryable)
    │   └── IndexUnsupported           the Qdrant server is too old
    ├── IndexRefused               the Qdrant server refused a request
    └── GraphNotBuilt              the process that builds a search graph failed (retryable)
"""

from typing import ClassVar


class LookalikeError(Exception):
    """Base of all errors that Lookalike raises on purpose. `str()` of one is the sentence for the user."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False


class InvalidInput(LookalikeError):
    code = "invalid_input"


class InvalidProductID(InvalidInput):
    code = "product_id_invalid"


class DuplicateProduct(InvalidInput):
    code = "product_duplicate"


class InvalidAttributes(InvalidInput):
    code = "attributes_invalid"


class InvalidFilter(InvalidInput):
    code = "filter_invalid"


class InvalidVector(InvalidInput):
    code = "vector_invalid"


class InvalidCatalog(InvalidInput):
    code = "catalog_invalid"


class InvalidSource(InvalidInput):
    code = "source_invalid"


class InvalidSetting(InvalidInput):
    code = "setting_invalid"


class InvalidChange(InvalidInput):
    code = "change_invalid"


class AttributeNotIndexed(InvalidInput):
    code = "attribute_not_indexed"


class NotSortable(InvalidInput):
    code = "attribute_not_sortable"


class LabelUnusable(InvalidInput):
    code = "label_unusable"


class InvalidQuery(InvalidInput):
    code = "query_invalid"


class NotFound(LookalikeError):
    code = "not_found"


class CatalogNotFound(NotFound):
    code = "catalog_not_found"


class ProductNotFound(NotFound):
    code = "product_not_found"


class GenerationNotFound(NotFound):
    code = "generation_not_found"


class DirectionNotFound(NotFound):
    code = "direction_not_found"


class FindingNotFound(NotFound):
    code = "finding_not_found"


class DecisionsNotFound(NotFound):
    code = "decisions_not_found"


class GroupNotFound(NotFound):
    code = "group_not_found"


class JobNotFound(NotFound):
    code = "job_not_found"


class MediaNotFound(NotFound):
    code = "media_not_found"


class Conflict(LookalikeError):
    code = "conflict"


class CatalogExists(Conflict):
    code = "catalog_exists"


class IdempotencyConflict(Conflict):
    """The key was used before. `in_flight`: the first request with it is in progress; else it had another body."""

    code = "idempotency_conflict"

    def __init__(self, key: str, *, in_flight: bool) -> None:
        self.in_flight = in_flight
        why = "of a request that is under way; repeat this when it is done" if in_flight else "of another request"
        super().__init__(f"The Idempotency-Key {key!r} is {why}{'' if in_flight else '; take a new key for this one'}.")


class EncoderMismatch(Conflict):
    code = "encoder_mismatch"


class GenerationExists(Conflict):
    code = "generation_exists"


class GenerationUnchanged(Conflict):
    code = "generation_unchanged"


class GenerationLive(Conflict):
    code = "generation_live"


class GenerationIncomplete(Conflict):
    code = "generation_incomplete"


class GenerationChanged(Conflict):
    code = "generation_changed"


class TooFewProducts(Conflict):
    code = "too_few_products"


class TooFewExamples(Conflict):
    code = "too_few_examples"


class DirectionWeak(Conflict):
    code = "direction_weak"


class DuplicatePicture(Conflict):
    code = "duplicate"


class ImageError(LookalikeError):
    code = "image_error"


class ImageNotReadable(ImageError):
    code = "image_not_readable"


class ImageUnsupported(ImageError):
    code = "image_unsupported"


class ImageCorrupt(ImageError):
    code = "image_corrupt"


class ImageTooLarge(ImageError):
    code = "image_too_large"


class ImageTooManyPixels(ImageError):
    code = "image_too_many_pixels"


class ImageDecodeTimeout(ImageError):
    code = "image_decode_timeout"


class ImageDecodeCrashed(ImageError):
    code = "image_decode_crashed"


class ImageFeatureless(ImageError):
    code = "image_featureless"


class FetchError(LookalikeError):
    code = "fetch_error"


class FetchRefused(FetchError):
    code = "fetch_refused"


class FetchNotFound(FetchError):
    code = "fetch_not_found"


class FetchTooLarge(FetchError):
    code = "fetch_too_large"


class FetchUnreachable(FetchError):
    code = "fetch_unreachable"
    retryable = True


class FetchTimeout(FetchError):
    code = "fetch_timeout"
    retryable = True


class FetchFailed(FetchError):
    code = "fetch_failed"
    retryable = True


class EncoderError(LookalikeError):
    code = "encoder_error"


class EncoderUnknown(EncoderError):
    code = "encoder_unknown"


class PrecisionUnavailable(EncoderError):
    code = "precision_unavailable"


class WeightsError(EncoderError):
    code = "weights_error"


class WeightsNotFound(WeightsError):
    code = "weights_not_found"


class WeightsUnreachable(WeightsError):
    code = "weights_unreachable"
    retryable = True


class WeightsInvalid(WeightsError):
    code = "weights_invalid"


class FeaturesNotFound(EncoderError):
    code = "features_not_found"
    retryable = True


class TooFewImages(Conflict):
    code = "too_few_images"


class DataError(LookalikeError):
    code = "data_error"


class DataLocked(DataError):
    code = "data_locked"
    retryable = True


class ServiceUnavailable(DataError):
    code = "service_unavailable"
    retryable = True


class DataNotWritable(DataError):
    code = "data_not_writable"


class DataFull(DataError):
    code = "data_full"
    retryable = True


class DataCorrupt(DataError):
    code = "data_corrupt"


class FormatTooNew(LookalikeError):
    code = "format_newer"


class Busy(LookalikeError):
    code = "busy"
    retryable = True


class QueueFull(Busy):
    code = "queue_full"


class ProductBusy(Busy):
    code = "product_busy"


class WorkerCrashed(LookalikeError):
    code = "worker_crashed"


class DecodingUnavailable(LookalikeError):
    code = "decoding_unavailable"
    retryable = True


class Closed(LookalikeError):
    code = "closed"
    retryable = True


class LedgerUnavailable(LookalikeError):
    code = "ledger_unavailable"
    retryable = True


class IndexUnavailable(LookalikeError):
    code = "index_unavailable"
    retryable = True


class IndexUnsupported(IndexUnavailable):
    code = "index_unsupported"


class IndexRefused(LookalikeError):
    code = "index_refused"


class GraphNotBuilt(LookalikeError):
    code = "graph_not_built"
    retryable = True
