"""Commands are run on folders of pictures."""

from commands import attributes as attributes
from commands import data as data
from commands import indexed as indexed
from commands import new as new
from commands import own as own
from commands import pictures as pictures
from commands import refused as refused
from commands import run as run
from commands import way as way
