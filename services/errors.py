"""The errors of Lookalike.

Each class has a stable `code`, which is part of the product's interface, and knows whether trying the same
thing again can help (`retryable`). A message is one sentence that names the thing and the way out.

    LookalikeError
    ├── InvalidInput               the request is wrong; nothing was done
    │   ├── InvalidProductID
    │   ├── DuplicateProduct
    │   ├── InvalidAttributes
    │   ├── InvalidFilter
    │   ├── InvalidVector
    │   ├── InvalidCatalog
    │   ├── InvalidSource          a folder, list or archive that cannot be taken in
    │   ├── InvalidSetting
    │   └── AttributeNotIndexed
    ├── NotFound
    │   ├── CatalogNotFound
    │   ├── ProductNotFound
    │   └── MediaNotFound
    ├── Conflict                   the request is sound, but not for this catalog
    │   ├── CatalogExists
    │   └── EncoderMismatch
    ├── ImageError                 one image's fault: becomes a result, never ends a run
    │   ├── ImageNotReadable       the file is not there or may not be opened
    │   ├── ImageUnsupported       no image, or of a format we do not take
    │   ├── ImageCorrupt           cut off or damaged
    │   ├── ImageTooLarge          too many bytes
    │   ├── ImageTooManyPixels
    │   ├── ImageDecodeTimeout
    │   ├── ImageDecodeCrashed
    │   └── ImageFeatureless       the encoder gave only zeros, or numbers that are none
    ├── EncoderError
    │   ├── EncoderUnknown
    │   ├── PrecisionUnavailable
    │   └── WeightsError
    │       ├── WeightsNotFound
    │       ├── WeightsUnreachable     (retryable)
    │       └── WeightsInvalid         cut off, or of another network
    ├── DataError                  the data folder
    │   ├── DataLocked                 (retryable)
    │   ├── DataNotWritable
    │   ├── DataFull                   (retryable)
    │   └── DataCorrupt
    ├── DecodingUnavailable        no child process starts
    └── IndexUnavailable               (retryable)
"""

from typing import ClassVar


class LookalikeError(Exception):
    """Anything that went wrong and has a name. `str()` of it is the sentence for the user."""

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


class AttributeNotIndexed(InvalidInput):
    code = "attribute_not_indexed"


class NotFound(LookalikeError):
    code = "not_found"


class CatalogNotFound(NotFound):
    code = "catalog_not_found"


class ProductNotFound(NotFound):
    code = "product_not_found"


class MediaNotFound(NotFound):
    code = "media_not_found"


class Conflict(LookalikeError):
    code = "conflict"


class CatalogExists(Conflict):
    code = "catalog_exists"


class EncoderMismatch(Conflict):
    code = "encoder_mismatch"


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


class DataError(LookalikeError):
    code = "data_error"


class DataLocked(DataError):
    code = "data_locked"
    retryable = True


class DataNotWritable(DataError):
    code = "data_not_writable"


class DataFull(DataError):
    code = "data_full"
    retryable = True


class DataCorrupt(DataError):
    code = "data_corrupt"


class DecodingUnavailable(LookalikeError):
    code = "decoding_unavailable"


class IndexUnavailable(LookalikeError):
    code = "index_unavailable"
    retryable = True
