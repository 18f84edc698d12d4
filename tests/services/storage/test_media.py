import hashlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from fsspec import register_implementation
from fsspec.implementations.memory import MemoryFileSystem

from services.errors import FeaturesNotFound, InvalidInput, MediaNotFound
from services.storage.media import Media, short
from services.thumbnails import SIDES

PICTURE = b"the bytes of a picture"
HASH = hashlib.sha256(PICTURE).hexdigest()


@pytest.fixture
def media(tmp_path: Path) -> Media:
    return Media(tmp_path / "media")


def files(folder: Path) -> list[str]:
    """But for those that name who has put them there."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "users"]
    return sorted(str(path.relative_to(folder)) for path in found)


def no_thumbnail(_: bytes) -> bytes:
    raise AssertionError("not asked for")


def test_an_object_that_is_damaged_is_whole_again_when_it_is_put_again(tmp_path: Path) -> None:
    media = Media(tmp_path / "media", keep="none")
    hash = media.put_object(PICTURE)
    [file] = (tmp_path / "media").glob("objects/*/*/*")
    for damaged in (bytes(len(PICTURE)), PICTURE[:-1], b""):
        file.write_bytes(damaged)
        with pytest.raises(FeaturesNotFound, match=hash):
            media.read_object(hash)
        assert media.put_object(PICTURE) == hash and media.read_object(hash) == PICTURE


def test_what_was_put_is_got_by_its_hash(media: Media) -> None:
    assert not media.exists(HASH)
    assert media.put(PICTURE) == HASH
    assert media.exists(HASH)
    assert media.get(HASH) == PICTURE


def test_originals_lie_in_folders_of_their_first_digits(media: Media, tmp_path: Path) -> None:
    media.put(PICTURE)
    media.thumbnail(HASH, bytes.upper)
    assert files(tmp_path / "media") == [
        f"originals/{HASH[:2]}/{HASH[2:4]}/{HASH}",
        f"thumbnails/{HASH[:2]}/{HASH[2:4]}/{HASH}",
    ]


def test_the_same_content_is_stored_once(media: Media, tmp_path: Path) -> None:
    media.put(PICTURE)
    (stored,) = tmp_path.rglob(HASH)
    before = stored.stat()
    assert media.put(PICTURE) == HASH
    assert stored.stat().st_ino == before.st_ino
    assert stored.stat().st_mtime_ns > before.st_mtime_ns, "so that it is not collected as a leftover"


def test_an_original_that_a_power_cut_emptied_is_written_again(media: Media, tmp_path: Path) -> None:
    media.put(PICTURE)
    next(tmp_path.rglob(HASH)).write_bytes(b"")
    media.put(PICTURE)
    assert media.get(HASH) == PICTURE


def test_what_is_missing_is_told_and_the_rest_counts_as_put_now(media: Media, tmp_path: Path) -> None:
    media.put(PICTURE)
    (stored,) = tmp_path.rglob(HASH)
    os.utime(stored, (0, 0))
    absent = ["1" * 64, "0" * 64]
    assert media.missing([absent[0], HASH, *absent, HASH]) == absent
    assert stored.stat().st_mtime > 1_000_000_000
    stored.write_bytes(b"")
    assert media.missing([HASH]) == [HASH], "a power failure can leave a file without its bytes"


def test_what_is_not_there_is_not_found(media: Media) -> None:
    with pytest.raises(MediaNotFound, match=HASH):
        media.get(HASH)
    with pytest.raises(MediaNotFound, match=HASH):
        media.thumbnail(HASH, no_thumbnail)


@pytest.mark.parametrize(
    "hash", ["", "../../../etc/passwd", HASH[:-1], HASH + "0", HASH.upper(), HASH + "\n", "/" * 64]
)
def test_what_is_no_hash_reaches_no_file(media: Media, hash: str) -> None:
    for call in (media.get, media.exists, media.remove, lambda hash: media.thumbnail(hash, no_thumbnail)):
        with pytest.raises(InvalidInput, match="64 hex digits"):
            call(hash)


def test_removing_takes_the_thumbnail_along_and_again_is_harmless(media: Media, tmp_path: Path) -> None:
    media.put(PICTURE)
    for side in SIDES:
        media.thumbnail(HASH, bytes.upper, side)
    media.remove(HASH)
    media.remove(HASH)
    assert files(tmp_path) == []


def test_a_thumbnail_is_made_once(media: Media) -> None:
    media.put(PICTURE)
    assert media.thumbnail(HASH, bytes.upper) == PICTURE.upper()
    assert media.thumbnail(HASH, no_thumbnail) == PICTURE.upper()


def test_thumbnails_of_all_sides_are_kept_beside_each_other(media: Media) -> None:
    media.put(PICTURE)
    for side in SIDES:
        assert media.thumbnail(HASH, lambda _, side=side: b"%d" % side, side) == b"%d" % side
    assert [media.thumbnail(HASH, no_thumbnail, side) for side in SIDES] == [b"64", b"160", b"320", b"640"]


def test_a_thumbnail_that_cannot_be_made_is_not_kept(media: Media) -> None:
    media.put(PICTURE)
    with pytest.raises(AssertionError, match="not asked for"):
        media.thumbnail(HASH, no_thumbnail)
    assert media.thumbnail(HASH, bytes.upper) == PICTURE.upper()


def test_what_a_killed_writer_had_begun_is_swept_and_nothing_else(media: Media, tmp_path: Path) -> None:
    """Given a process that dies between writing an original and naming it, I expect the sweep to take the rest."""
    media.put(PICTURE)
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom fsspec.implementations.local import LocalFileSystem\n"
        "from services.storage.media import Media\nLocalFileSystem.mv = lambda *_: os.kill(os.getpid(), 9)\n"
        "Media(Path(sys.argv[1])).put(b'begun')\n"
    )
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path / "media")], check=False)
    assert died.returncode == -9
    assert len(files(tmp_path)) == 2
    media.sweep()
    assert len(files(tmp_path)) == 1
    assert media.get(HASH) == PICTURE


def test_keeping_none_stores_nothing(tmp_path: Path) -> None:
    media = Media(tmp_path / "media", keep="none")
    assert media.put(PICTURE) == HASH
    assert not media.exists(HASH)
    with pytest.raises(MediaNotFound):
        media.get(HASH)
    assert files(tmp_path) == []


def test_a_url_names_the_folder_too(tmp_path: Path) -> None:
    Media(f"file://{tmp_path}").put(PICTURE)
    assert Media(tmp_path).get(HASH) == PICTURE


def test_many_at_once_may_put_the_same_content(tmp_path: Path) -> None:
    picture = os.urandom(200_000)
    with ThreadPoolExecutor(8) as pool:
        hashes = list(pool.map(lambda _: Media(tmp_path).put(picture), range(64)))
    assert set(hashes) == {hashlib.sha256(picture).hexdigest()}
    assert Media(tmp_path).get(hashes[0]) == picture
    assert len(files(tmp_path)) == 1


def test_a_writer_that_dies_leaves_no_half_original_under_its_name(tmp_path: Path) -> None:
    """The file size limit ends the writer in the middle, as a kill does."""
    script = """
import resource, signal, sys
from services.storage.media import Media, short
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
Media(sys.argv[1]).put(bytes(200_000))
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGXFSZ
    media = Media(tmp_path)
    hash = hashlib.sha256(bytes(200_000)).hexdigest()
    assert len(files(tmp_path)) == 1
    assert not media.exists(hash)
    media.put(bytes(200_000))
    assert media.get(hash) == bytes(200_000)


class CountedBucket(MemoryFileSystem):
    """A bucket that notes every name that is written, and how often."""

    protocol = "memory"
    cachable = False
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    written: ClassVar[Counter[str]] = Counter()

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        self.written[path] += 1
        super().pipe_file(path, value, mode, **options)

    def cp_file(self, path1: str, path2: str, **options: Any) -> None:
        self.written[path2] += 1
        super().cp_file(path1, path2, **options)


class CountedServer(CountedBucket):
    """The same as a file server: others see a file there while it is written."""

    protocol = "fileserver"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    written: ClassVar[Counter[str]] = Counter()


@pytest.fixture
def counted() -> Iterator[None]:
    for kind in (CountedBucket, CountedServer):
        register_implementation(str(kind.protocol), kind, clobber=True)
    yield
    register_implementation("memory", MemoryFileSystem, clobber=True)
    for kind in (CountedBucket, CountedServer):
        kind.store.clear()
        kind.written.clear()


def test_an_original_is_uploaded_to_a_bucket_once(counted: None) -> None:
    media = Media("memory://bucket/media", user="one")
    assert media.put(PICTURE) == HASH
    assert media.get(HASH) == PICTURE
    original = f"/bucket/media/originals/{HASH[:2]}/{HASH[2:4]}/{HASH}"
    assert CountedBucket.written.pop(original) == 1
    [(sign, times)] = CountedBucket.written.items()
    assert (sign.startswith("/bucket/media/users/"), times) == (True, 1)
    assert set(CountedBucket.store) == {original, sign}
    assert media.thumbnail(HASH, bytes.upper) == PICTURE.upper()
    assert CountedBucket.written[original.replace("originals", "thumbnails")] == 1
    assert Media("memory://bucket/media", user="other").others() == ["one"]
    media.sweep()
    media.remove(HASH)
    assert not media.exists(HASH)


def test_an_original_of_a_bucket_is_written_again_where_only_that_makes_it_new(counted: None) -> None:
    media = Media("memory://bucket/media", user="one")
    media.put(PICTURE)
    original = f"/bucket/media/originals/{HASH[:2]}/{HASH[2:4]}/{HASH}"
    assert media.missing([HASH, "0" * 64]) == ["0" * 64]
    assert CountedBucket.written[original] == 1, "it was put a moment ago"
    CountedBucket.store[original].modified -= timedelta(days=1, minutes=1)
    assert media.missing([HASH]) == []
    assert (CountedBucket.written[original], media.get(HASH)) == (2, PICTURE)
    other = Media("memory://bucket/media", user="other")
    assert other.missing([HASH]) == [] and media.others() == ["other"], "it needs it from now on"


def test_what_is_not_put_as_a_whole_is_renamed_when_it_is_whole(counted: None) -> None:
    media = Media("fileserver://host/media")
    media.put(PICTURE)
    assert media.get(HASH) == PICTURE
    assert {path.partition("/media/")[2].split("/")[0] for path in CountedServer.store} == {"originals", "users"}
    begun = [path for path in CountedServer.written if "/media/unfinished/" in path]
    assert len(begun) == len(CountedServer.store) == 2
    assert set(CountedServer.written) == {*begun, *CountedServer.store}


def test_what_nobody_keeps_is_collected_once_it_is_old(tmp_path: Path) -> None:
    media = Media(tmp_path)
    kept, old, new, again = (media.put(name.encode()) for name in ("kept", "old", "new", "again"))
    for side in SIDES:
        media.thumbnail(old, lambda data: b"small", side)
    for hash in (kept, old, again):
        os.utime(tmp_path / "originals" / hash[:2] / hash[2:4] / hash, (0, 0))
    media.put(b"again")
    yesterday = datetime.now(UTC) - timedelta(days=1)

    assert media.collect(np.array([short(kept)], np.uint64), yesterday) == 1
    assert [media.exists(hash) for hash in (kept, old, new, again)] == [True, False, True, True]
    assert [path for path in tmp_path.rglob("*") if path.name == old] == []
    with pytest.raises(MediaNotFound):
        media.thumbnail(old, lambda data: b"small")
    assert media.collect(np.array([], np.uint64), yesterday) == 1
    assert not media.exists(kept)


def test_a_retired_object_is_collected_unless_it_is_named_or_was_put_since(tmp_path: Path) -> None:
    """Given objects that were put at 0 and retired at 100, I expect one to go that nobody names, has put since (at
    200), or has retired just now."""
    media = Media(tmp_path)
    gone, named, again, new, other = (media.put_object(name.encode()) for name in ("gone", "named", "again", "n", "o"))
    for hash in (gone, named, again, new, other):
        os.utime(tmp_path / "objects" / hash[:2] / hash[2:4] / hash, (0, 0))
    for hash in (gone, named, again, new):
        media.retire(hash)
        if hash != new:
            os.utime(tmp_path / "retired" / hash[:2] / hash[2:4] / hash, (100, 100))
    media.put_object(b"again")
    os.utime(tmp_path / "objects" / again[:2] / again[2:4] / again, (200, 200))
    hour = datetime.now(UTC) - timedelta(hours=1)
    assert media.collect_retired({named}, hour) == 1
    left = [media.read_object(hash) for hash in (named, again, new, other)]
    assert left == [b"named", b"again", b"n", b"o"]
    with pytest.raises(FeaturesNotFound):
        media.read_object(gone)
    assert [path.name for path in (tmp_path / "retired").rglob("*") if path.is_file()] == [new]
    os.utime(tmp_path / "objects" / again[:2] / again[2:4] / again, (0, 0))
    assert media.collect_retired(set(), hour) == 0, "it is like any other object again"


class PutMeanwhile(Media):
    """Somebody puts each object again right after its time was read for the first time."""

    def _put_at(self, path: str) -> datetime:
        found = super()._put_at(path)
        if "objects" in path:
            self.put_object(PICTURE)
        return found


def test_a_retired_object_that_is_put_again_while_it_is_collected_stays(tmp_path: Path) -> None:
    media = PutMeanwhile(tmp_path)
    hash = media.put_object(PICTURE)
    media.retire(hash)
    for kind, at in (("objects", 0), ("retired", 100)):
        os.utime(tmp_path / kind / hash[:2] / hash[2:4] / hash, (at, at))
    assert media.collect_retired(set(), datetime.now(UTC) - timedelta(hours=1)) == 0
    assert media.read_object(hash) == PICTURE


class Raced(Media):
    """Somebody puts each original again right after its time was read for the first time."""

    def _put_at(self, path: str) -> datetime:
        found = super()._put_at(path)
        if "originals" in path:
            assert self.missing([Path(path).name]) == []
        return found


def test_what_is_put_again_while_it_is_collected_stays(tmp_path: Path) -> None:
    """A change that names an uploaded image has just been accepted."""
    media = Raced(tmp_path)
    hash = media.put(PICTURE)
    media.thumbnail(hash, lambda data: b"small")
    os.utime(tmp_path / "originals" / hash[:2] / hash[2:4] / hash, (0, 0))
    before = files(tmp_path)
    assert media.collect(np.array([], np.uint64), datetime.now(UTC) - timedelta(days=1)) == 0
    assert files(tmp_path) == before
    assert media.get(hash) == PICTURE


class Rewritten(Media):
    """Somebody puts each original again as soon as it is gone."""

    def _put_at(self, path: str) -> datetime:
        found = super()._put_at(path)
        if "unfinished" in path:
            assert self.missing([HASH]) == [HASH]
            self.put(PICTURE)
        return found


def test_what_is_put_again_as_soon_as_it_is_taken_away_stays(tmp_path: Path) -> None:
    media = Rewritten(tmp_path)
    hash = media.put(PICTURE)
    os.utime(tmp_path / "originals" / hash[:2] / hash[2:4] / hash, (0, 0))
    media.collect(np.array([], np.uint64), datetime.now(UTC) - timedelta(days=1))
    assert files(tmp_path) == [f"originals/{HASH[:2]}/{HASH[2:4]}/{HASH}"]
    assert media.get(hash) == PICTURE


def test_it_is_told_who_else_puts_originals_there(tmp_path: Path) -> None:
    """Given two users of one folder, I expect each to see the other once that has put something, and to keep it."""
    one, other = Media(tmp_path, user="one"), Media(tmp_path, user="other in http://qdrant:6333")
    assert one.others() == other.others() == []
    one.put(b"a picture")
    assert (one.others(), other.others(), Media(tmp_path, user="one").others()) == ([], ["one"], [])
    other.put(b"a picture")
    assert other.others() == ["one"], "it needs what was there already, too"
    assert one.others() == ["other in http://qdrant:6333"]
    Media(tmp_path, keep="none", user="third").put(b"a picture")
    assert len(one.others()) == 1
