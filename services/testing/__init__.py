"""Implementations for tests: they keep the contracts, and need nothing but this process."""

from services.testing.encoder import StubEncoder as StubEncoder
from services.testing.encoder import load_stub as load_stub
from services.testing.filters import matches as matches
from services.testing.images import StubFetcher as StubFetcher
from services.testing.images import picture as picture
from services.testing.index import MemoryIndex as MemoryIndex
