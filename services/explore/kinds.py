"""How alike duplicates are, in a word."""

from typing import Literal, get_args

Kind = Literal["same_bytes", "same_picture", "near_duplicate"]
"""How alike two pictures are: their files are the same; or what is seen in them, as far as perceptual hashes tell; or
that nearly, so that one may be the other one stored otherwise, smaller, cropped, lit or with a border."""
KINDS: tuple[Kind, ...] = get_args(Kind)
