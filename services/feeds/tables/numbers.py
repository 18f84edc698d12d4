"""Cells that are numbers, in the styles in which people and programs write them."""

import re
from dataclasses import dataclass

MAX_LENGTH = 40
EXACT_DIGITS = 15
"""A float holds every number of so many digits."""

SPACES = " \u00a0\u2009\u202f"
_SIGNS = "$€£¥₹₽₩₺₫₪₴₦฿₱₡₲₸₵₮₭₼₾"
_CODES = (
    "AED ARS AUD BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JPY KRW KZT MAD MXN MYR NOK "
    "NZD PEN PHP PLN QAR RON RSD RUB SAR SEK SGD THB TRY TWD UAH USD VND ZAR kr zł Kč Ft"
)
_ENDS = frozenset("0123456789%" + _SIGNS + "".join(code[-1] for code in _CODES.split()))
_CURRENCY = rf"(?:US|CA|AU|HK|NZ|R|A|C|S)?[{_SIGNS}]|{_CODES.replace(' ', '|')}"
_NUMBER = re.compile(
    rf"(?P<minus>[-−]?)(?P<before>(?:{_CURRENCY})[{SPACES}]?)?(?P<late>[-−]?)"
    rf"(?P<body>[0-9.,'’{SPACES}]*[0-9])[{SPACES}]?(?P<after>{_CURRENCY}|%)?"
)
_PLAIN = re.compile(r"([0-9]*)([.,])([0-9]+)")
_GROUPED = re.compile(
    rf"(?P<whole>[1-9][0-9]{{0,2}}(?P<by>[.,'’{SPACES}])[0-9]{{3}}(?:(?P=by)[0-9]{{3}})*)"
    r"(?:(?P<mark>[.,])(?P<fraction>[0-9]+))?"
)


@dataclass(frozen=True, slots=True)
class Number:
    """What a cell is as a number, where the decimal mark is a point and where it is a comma: as Python writes it.

    None: it is none then. `spaced`: spaces are all that it has beside digits. `odd`: why it is rather a name than an
    amount.
    """

    point: str | None
    comma: str | None
    currency: str = ""
    percent: bool = False
    spaced: bool = False
    odd: str = ""

    @property
    def is_ambiguous(self) -> bool:
        return self.point is not None and self.comma is not None and self.point != self.comma


def number_of(text: str) -> Number | None:
    """The number that a cell without white space around it is; None if it is none."""
    # Most texts end like no number.
    if len(text) > MAX_LENGTH or text[-1:] not in _ENDS or not (found := _NUMBER.fullmatch(text)):
        return None
    before, after, body = (found["before"] or "").strip(SPACES), found["after"] or "", found["body"]
    if (before and after) or (found["minus"] and found["late"]):
        return None
    point, comma = _readings(body)
    if point is None and comma is None:
        return None
    sign = "-" if found["minus"] or found["late"] else ""
    return Number(
        sign + point if point is not None else None,
        sign + comma if comma is not None else None,
        currency=before or after.replace("%", ""),
        percent=after == "%",
        spaced=not body.isdigit() and set(body) <= set("0123456789" + SPACES),
        odd=_oddity(point or comma or ""),
    )


def is_trade_number(digits: str) -> bool:
    """Whether digits are a GTIN (EAN, UPC, ISBN-13): 12 to 14, the last of which checks the others."""
    if not (digits.isdigit() and 12 <= len(digits) <= 14):
        return False
    *others, check = map(int, digits.zfill(14))
    return (sum(others[::2]) * 3 + sum(others[1::2]) + check) % 10 == 0


def _readings(body: str) -> tuple[str | None, str | None]:
    if body.isdigit():
        return body, body
    point = comma = None
    if plain := _PLAIN.fullmatch(body):
        text = f"{plain[1] or '0'}.{plain[3]}"
        point, comma = (text, None) if plain[2] == "." else (None, text)
    if grouped := _GROUPED.fullmatch(body):
        by, mark = grouped["by"], grouped["mark"]
        text = re.sub("[^0-9]", "", grouped["whole"]) + (f".{grouped['fraction']}" if mark else "")
        if by != mark:
            point = point or (text if by != "." and mark != "," else None)
            comma = comma or (text if by != "," and mark != "." else None)
    return point, comma


def _oddity(text: str) -> str:
    whole, _, fraction = text.partition(".")
    if len(whole) > 1 and whole[0] == "0":
        return "has a leading zero"
    if len((whole + fraction).lstrip("0")) > EXACT_DIGITS and not (fraction and repr(float(text)) == text):
        return f"has more than {EXACT_DIGITS} digits"
    return ""
