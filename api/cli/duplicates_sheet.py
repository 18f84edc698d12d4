"""Groups of duplicates as a contact sheet."""

from pathlib import Path

from api.cli.pages import data_uri
from api.cli.sheet import Card, about, card, write_rows
from api.cli.workspace import AnyCatalog
from services.explore.decisions import Decision
from services.explore.duplicate_groups import Group, Groups, Member

SHOWN = 12
"""Products of a group that are shown beside the one to keep."""
SHOWN_PLACEHOLDERS = 5
"""The same of a placeholder, which looks alike everywhere."""


def write_duplicates(file: Path, catalog: AnyCatalog, page: Groups, decision: Decision | None) -> None:
    """Writes groups, each with what to keep beside the others. Raises `InvalidInput` where the file cannot be
    written."""
    of = f"decided {decision}" if decision else "open"
    said = [
        about(catalog),
        f"{len(page.groups)} of {page.total} groups, {of}. Marked is what to keep of each, and why.",
    ]
    write_rows(file, f"Duplicates in {catalog.spec.name}", said, [_row(catalog, each) for each in page.groups])


def kind_of(group: Group) -> str:
    """What it is, in words."""
    words = {"same_bytes": "same file", "same_picture": "same picture", "near_duplicate": "near-duplicate"}
    return "placeholder" if group.placeholder else words[group.kind]


def _row(catalog: AnyCatalog, group: Group) -> dict[str, list[Card]]:
    kept = [each for each in group.members if each.product_id in group.keep]
    others = [each for each in group.members if each.product_id not in group.keep]
    # The last card is that of a product where no more than one is left.
    most = SHOWN_PLACEHOLDERS if group.placeholder else SHOWN
    if group.products - len(kept) > most + 1:
        others = others[:most]
    label = f"{kind_of(group)}, {group.products} products"
    why = group.why and f"{'kept' if group.decision else 'keep'}: {group.why}"
    terms = [_card(catalog, each, why, f"group {group.id}", label=label) for each in kept]
    if not terms:
        terms = [
            card(f"group {group.id}", None, group.decision or "", label=label, instead=f"{group.products} products")
        ]
    hits = [_card(catalog, each) for each in others]
    if left := group.products - len(kept) - len(others):
        hits.append(card("more of them", None, instead=f"+{left}"))
    return {"terms": terms, "hits": hits}


def _card(catalog: AnyCatalog, member: Member, *lines: str, label: str = "") -> Card:
    size = f"{member.width} x {member.height}" if member.width else ""
    values = ", ".join(str(value) for value in member.attributes.values())
    uri = data_uri(lambda: catalog.thumbnail(member.product_id))
    return card(member.product_id, uri, *lines, size, values, label=label)
