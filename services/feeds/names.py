"""Product IDs as file systems and tables spell them: one text has several forms in Unicode, and macOS takes another one
than most programs do."""

from collections.abc import Callable, Collection
from dataclasses import replace
from unicodedata import normalize

from services.feeds.source import Source


def nfc(text: str) -> str:
    """The composed form, in which names are compared."""
    return text if text.isascii() else normalize("NFC", text)


def composed(source: Source) -> Source:
    """The source with its product ID in NFC."""
    product_id = nfc(source.product_id)
    return (
        source if product_id == source.product_id else replace(source, product_id=product_id, spelled=source.product_id)
    )


def as_held(found: list[Source], held: Callable[[Collection[str]], set[str]]) -> tuple[list[Source], int]:
    """The sources with the product IDs that a catalog has for them, and how many are others than NFC.

    Args:
        found: Sources whose product IDs are NFC.
        held: Says which of some product IDs the catalog has; asked only for those that have another form.
    """
    forms = {source.product_id: _other_forms(source) for source in found if not source.product_id.isascii()}
    forms = {product_id: others for product_id, others in forms.items() if others}
    if not forms:
        return found, 0
    there = held([form for product_id, others in forms.items() for form in (product_id, *others)])
    renamed = {
        product_id: stored
        for product_id, others in forms.items()
        if product_id not in there and (stored := next((form for form in others if form in there), None))
    }
    return [replace(each, product_id=renamed.get(each.product_id, each.product_id)) for each in found], len(renamed)


def _other_forms(source: Source) -> list[str]:
    """The forms besides NFC in which its product ID may be stored: as it was spelled, and decomposed."""
    found = [source.spelled or "", normalize("NFD", source.product_id)]
    return [form for form in dict.fromkeys(found) if form and form != source.product_id]
