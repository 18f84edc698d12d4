"""What each code of a problem means, and what its reader does about it: the pages that `type` of a problem names."""

from collections.abc import Mapping
from typing import NamedTuple


class Meaning(NamedTuple):
    """Sentences about a code that hold whatever the request was; `detail` of a problem says what this one was about."""

    means: str
    advice: str


_OF_REQUESTS = {
    "request_malformed": Meaning(
        "The request cannot be read: its encoding, its JSON or its form is broken, or it is cut off.",
        "Send what the parser of your client makes of the same data; `detail` names the place.",
    ),
    "request_error": Meaning(
        "Something about the request as such cannot be taken.",
        "`detail` says what it is, and `errors` names the field.",
    ),
    "invalid_input": Meaning(
        "The request can be read, but a field of it is missing, unknown, or not what it may be.",
        "Correct the fields that `errors` names; the OpenAPI document has the schema of each.",
    ),
    "body_too_large": Meaning(
        "The body has more bytes than this route takes, as sent or as decoded.",
        "Split it, or send images ahead and name them by their hashes.",
    ),
    "media_type_unsupported": Meaning(
        "The route does not take this Content-Type or Content-Encoding.", "Send one that `detail` names."
    ),
    "route_not_found": Meaning("There is no such path.", "Compare the path with `GET /docs`."),
    "method_not_allowed": Meaning("The path takes other methods.", "Use one that the header Allow names."),
    "unauthorized": Meaning(
        "The request has no API key, or one that is unknown or revoked.",
        "Send `Authorization: Bearer KEY` with a key that `lookalike keys create` has made.",
    ),
    "forbidden": Meaning(
        "The API key may not do this, or not with this catalog; without keys, this machine alone is answered.",
        "Use a key whose scopes and catalogs include it.",
    ),
    "origin_refused": Meaning(
        "A page of another site sent the request, or nobody said which page did. What a browser sends by itself, a "
        "session or being on this machine, changes something for pages of this service only.",
        "Programs send an API key. Behind a proxy, LOOKALIKE_PUBLIC_URL says where the pages of the service are; pages "
        "of other sites that LOOKALIKE_ALLOW_ORIGINS names send a key, too.",
    ),
    "signature_refused": Meaning(
        "The URL of a picture is signed, but not by this service, not as it is now, or its time is over.",
        "Read the product again with `?sign=SECONDS`, and use the URL as it is.",
    ),
    "rate_limited": Meaning(
        "The key has sent more requests than it may at this moment.",
        "Wait for the seconds of Retry-After, or have LOOKALIKE_RATE_LIMIT raised.",
    ),
    "idempotency_conflict": Meaning(
        "The Idempotency-Key was used before: for another body (422), or for a request in progress (409).",
        "Take a new key for a new request; repeat a request that is in progress later, with the same key.",
    ),
    "too_many_waits": Meaning(
        "As many requests as the service can hold are waiting for outcomes already.",
        "Ask again without `wait` and read the job now and then, or ask later.",
    ),
}

_OF_INPUT = {
    "product_id_invalid": Meaning(
        "The product ID is empty, too long, or holds characters that cannot be stored.",
        "Send the ID that your own system uses, as text of up to 512 bytes without control characters.",
    ),
    "product_duplicate": Meaning(
        "One request names the same product twice.", "Send one change for each product, or two requests."
    ),
    "attributes_invalid": Meaning(
        "Attributes are no JSON object, too large, too deep, or hold a value that JSON has not.",
        "Correct what `detail` names; attributes are an object of text, numbers, true and false, lists and objects.",
    ),
    "attribute_not_indexed": Meaning(
        "The attribute has to be declared before it is counted or listed by value.",
        "Declare it with PATCH of the catalog, or `lookalike catalogs`; products stay as they are.",
    ),
    "attribute_not_sortable": Meaning(
        "Products are sorted by attributes that are declared as numbers only.",
        "Declare the attribute as integer or float, or sort by another one.",
    ),
    "filter_invalid": Meaning(
        "The filter is not of Qdrant's JSON over attributes.", "Correct what `detail` names: must, must_not, should."
    ),
    "query_invalid": Meaning(
        "A term of the query cannot be read, or all terms together point nowhere.",
        "Give terms that differ, or leave one out; `detail` names it.",
    ),
    "vector_invalid": Meaning(
        "The vector has another length than those of the catalog, is all zeros, or holds NaN or infinity.",
        "Send a vector of the catalog's encoder; `dim` of the catalog says how long it is.",
    ),
    "label_unusable": Meaning(
        "No product has this attribute, or too few products share a value of it.",
        "Name an attribute that several products have with the same value.",
    ),
    "catalog_invalid": Meaning(
        "The name or the description of a catalog is not one that can be kept.",
        "Use lower-case letters, digits, - and _, and options that the document names.",
    ),
    "change_invalid": Meaning(
        "A change is malformed, or says nothing to do.", "Give an image or attributes, or delete the product."
    ),
    "feed_invalid": Meaning(
        "Some lines of the feed are no changes, so none was accepted.",
        "Correct the lines that `errors` names, or send `on_error=skip` to take the others.",
    ),
    "source_invalid": Meaning(
        "A folder, list or archive cannot be read.", "Name one that is there and is of a format that `detail` names."
    ),
    "setting_invalid": Meaning(
        "A setting of the service has a value that it may not have.",
        "Correct it where it is set; see docs/configuration.md.",
    ),
}

_OF_WHAT_IS_THERE = {
    "not_found": Meaning("What the request is about is not there.", "`detail` says what, and where there is a list."),
    "catalog_not_found": Meaning("There is no catalog of this name.", "List catalogs, or make it with PUT."),
    "product_not_found": Meaning(
        "The catalog has no product of this ID; its first image may still be waiting, or have failed.",
        "Read the job of its put, or put it with an image.",
    ),
    "generation_not_found": Meaning(
        "The catalog has no generation of this ID; it may have been dropped.", "List the generations."
    ),
    "direction_not_found": Meaning(
        "The catalog has learned no direction of this name.", "List them, or learn it with PUT."
    ),
    "finding_not_found": Meaning(
        "The catalog has not been looked through for this, or what was found is gone.", "Have it looked for with PUT."
    ),
    "decisions_not_found": Meaning(
        "What was decided about duplicates was lost from the media.",
        "Restore a backup, or forget the decisions that are lost.",
    ),
    "group_not_found": Meaning(
        "There is no such group of duplicates: its products have changed, which makes another group of them.",
        "List the groups again.",
    ),
    "job_not_found": Meaning("There is no such job, or it ended so long ago that it was forgotten.", "List the jobs."),
    "media_not_found": Meaning(
        "The file of the image is not stored here.", "Put the product again with its image, or upload the image again."
    ),
    "key_not_found": Meaning("There is no API key of this name.", "List the keys."),
}

_OF_CONFLICTS = {
    "conflict": Meaning(
        "The request is valid, but not for what is there at this moment.", "`detail` says what it is, and the way out."
    ),
    "catalog_exists": Meaning(
        "There is a catalog of this name with other options.", "Take another name, or make a generation of it."
    ),
    "key_exists": Meaning("There is an API key of this name.", "Take another name, or revoke that key."),
    "encoder_mismatch": Meaning(
        "Vectors of another encoder, other weights or other features cannot be compared with those of the catalog.",
        "Use the encoder that the catalog names, or reindex into a new generation.",
    ),
    "generation_exists": Meaning(
        "The next generation of the catalog is being built already.", "Wait for it, or drop it first."
    ),
    "generation_unchanged": Meaning(
        "The next generation would be what the live one is.", "Change an option, or leave it as it is."
    ),
    "generation_live": Meaning("The live generation cannot be dropped.", "Promote another one first."),
    "generation_incomplete": Meaning(
        "The generation lacks products that the live one has.",
        "Wait until it is built; list what is behind; or promote it with `allow_missing`.",
    ),
    "generation_changed": Meaning(
        "Another generation has become the live one meanwhile.", "Read the catalog again, and repeat the request."
    ),
    "too_few_products": Meaning(
        "The catalog has so few products that the answer would be chance.",
        "Add products; `detail` says how many it takes.",
    ),
    "too_few_examples": Meaning("Nothing can be learned from so few examples.", "Name more products on either side."),
    "too_few_images": Meaning(
        "Tuned features are learned from the catalog's own images, and there are too few.",
        "Add products, or use head features.",
    ),
    "direction_weak": Meaning(
        "The two sides of the direction look the same, so it leads nowhere.",
        "Name other products, or another value.",
    ),
    "duplicate": Meaning(
        "Another product shows this picture already, or nearly, and the put asked for that to be refused.",
        "Leave the product out, or put it without `duplicates=refuse`.",
    ),
}

_OF_IMAGES = {
    "image_error": Meaning("The image cannot be used.", "Send another file of it."),
    "image_not_readable": Meaning(
        "The file of the image is missing or may not be opened.", "Check path and permissions."
    ),
    "image_unsupported": Meaning(
        "The file is no image, or is of a kind that is not supported.",
        "Save it as JPEG, PNG or WebP with 8 bits a channel.",
    ),
    "image_corrupt": Meaning("The image is cut off or damaged.", "Send the whole file again."),
    "image_too_large": Meaning("The file has too many bytes.", "Send a smaller one; 1,000 pixels a side are plenty."),
    "image_too_many_pixels": Meaning(
        "The image has too many pixels.", "Scale it down; 1,000 pixels a side are plenty."
    ),
    "image_decode_timeout": Meaning("Decoding the image took too long.", "Save it anew with an image editor."),
    "image_decode_crashed": Meaning("The decoder crashed on this image.", "Save it anew with an image editor."),
    "image_featureless": Meaning(
        "The encoder sees nothing in the image: its vector would be all zeros, or no numbers.", "Send another picture."
    ),
    "fetch_error": Meaning(
        "The image cannot be fetched from its URL.", "`detail` says why; check the URL in a browser."
    ),
    "fetch_refused": Meaning(
        "The URL is not fetched: it is not http(s), or leads to an address that is not public.",
        "Give a public URL, send the image itself, or allow the host in LOOKALIKE_FETCH_ALLOW.",
    ),
    "fetch_not_found": Meaning(
        "The host of the URL answers that the image is not there, or not for us.", "Correct the URL, or open it up."
    ),
    "fetch_too_large": Meaning("What is at the URL has too many bytes.", "Give the URL of a smaller picture."),
    "fetch_unreachable": Meaning(
        "The host has no address, does not connect, or cut the connection.",
        "It was tried several times; put it again later.",
    ),
    "fetch_timeout": Meaning(
        "The host took too long to send the image.", "It was tried several times; put it again later."
    ),
    "fetch_failed": Meaning(
        "The host answers that it cannot at this moment (429 or 5xx).",
        "It was tried several times; put it again later.",
    ),
    "worker_crashed": Meaning(
        "The change ended its worker again and again, so it is not tried any more.",
        "Put the product with another file of the image; the log of the worker tells more.",
    ),
}

_OF_THE_SERVICE = {
    "busy": Meaning("The service has as much to do as it can.", "Repeat the request after Retry-After."),
    "queue_full": Meaning(
        "As many changes wait as may.",
        "Repeat the request after Retry-After, or add workers; nothing of it was accepted.",
    ),
    "product_busy": Meaning("Too many changes of one product wait.", "Send its last state only, after Retry-After."),
    "closed": Meaning("The process is shutting down.", "Repeat the request: another process answers."),
    "decoding_unavailable": Meaning(
        "Child processes for decoding images cannot be started.", "Look at memory and process limits of the machine."
    ),
    "ledger_unavailable": Meaning(
        "Redis does not answer, so nothing can be accepted or told of jobs.", "Repeat later; look at Redis."
    ),
    "index_unavailable": Meaning("The vector index does not answer.", "Repeat later; look at Qdrant."),
    "index_unsupported": Meaning("The Qdrant server is too old.", "Update it to the version that `detail` names."),
    "index_refused": Meaning(
        "Qdrant refused a request of ours, which is our fault, or its collections are not as we left them.",
        "Look at the log under `instance`, and tell us.",
    ),
    "graph_not_built": Meaning(
        "The process that builds a search graph failed; searches are exact, as before.",
        "Build it again; look at the log.",
    ),
    "encoder_error": Meaning("The encoder cannot be used.", "`detail` says why."),
    "encoder_unknown": Meaning("There is no encoder of this name.", "Choose one that `lookalike doctor` lists."),
    "precision_unavailable": Meaning(
        "The processor has not the number format that was asked for.", "Leave LOOKALIKE_PRECISION out."
    ),
    "features_not_found": Meaning(
        "What the catalog has learned of its features is not in the media.", "Restore a backup, or reindex the catalog."
    ),
    "weights_error": Meaning("The weights of the encoder cannot be used.", "`detail` says why."),
    "weights_not_found": Meaning(
        "The file of the encoder's weights is not there.", "Put it where `detail` says, or name another one."
    ),
    "weights_unreachable": Meaning(
        "The weights of the encoder cannot be downloaded.",
        "Let the machine reach the host once, or copy the file to where `detail` says.",
    ),
    "weights_invalid": Meaning(
        "The file of weights is cut off, or is that of another network.", "Delete it, so that it is fetched again."
    ),
    "data_error": Meaning("The data folder cannot be used.", "`detail` says why."),
    "data_locked": Meaning(
        "Another process uses the data folder.", "Ask the service that runs, or end it; nothing was changed."
    ),
    "data_not_writable": Meaning("The data folder cannot be written.", "Look at its owner and its permissions."),
    "data_full": Meaning(
        "There is too little space where the data are.", "Free some; nothing that was accepted is lost."
    ),
    "data_corrupt": Meaning(
        "A file of the data folder is damaged.", "Restore a backup; `detail` names the file. Nothing was changed."
    ),
    "format_newer": Meaning(
        "The data were written by a newer version of Lookalike.", "Run that version, or a newer one."
    ),
    "service_unavailable": Meaning(
        "The service that uses the data folder does not answer.", "Start it, or wait for it."
    ),
    "error": Meaning("Something is wrong that has no code of its own.", "`detail` says what."),
    "internal_error": Meaning(
        "Something went wrong here that should not.", "Look at the log under `instance`, and tell us."
    ),
}

MEANINGS: Mapping[str, Meaning] = {
    **_OF_REQUESTS,
    **_OF_INPUT,
    **_OF_WHAT_IS_THERE,
    **_OF_CONFLICTS,
    **_OF_IMAGES,
    **_OF_THE_SERVICE,
}
"""By code; those of one kind are beside each other."""
