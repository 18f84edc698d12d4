"""What was found of all products of a catalog, and what people have decided about it.

A finding takes minutes, so it is made by a task or a command, and kept: an object in media, which the description of
the catalog names. It goes along to other generations, into backups and to other places, and is made anew when the
catalog has changed.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from services.catalog.objects import decisions_lost
from services.descriptions import CatalogSpec, Finding, with_findings
from services.errors import Conflict, FeaturesNotFound, FindingNotFound
from services.index.vector_index import VectorIndex
from services.storage.media import Media

Describe = Callable[[Callable[[CatalogSpec], CatalogSpec]], object]


def is_stale(finding: Finding, spec: CatalogSpec, index: VectorIndex) -> bool:
    """Whether a catalog has changed since something was found, as far as its vectors, its highest version and the
    number of its products tell.

    The version alone does not: what came first may be applied later, since changes of few products overtake those of
    many. Raises `IndexUnavailable`.
    """
    return (
        finding.fingerprint != spec.fingerprint
        or finding.version < index.max_version()
        or (finding.cursor is None and finding.products != index.count())
    )


class KeptFindings:
    """The findings of a catalog, and its decisions. Thread-safe.

    Args:
        media: Where they are kept.
        described: The description of the catalog as it is at this moment.
        describe: Changes it: what it is called with makes the new description of what it is by then, while nobody else
            changes it. Raises what saving it does.
    """

    def __init__(self, media: Media, *, described: Callable[[], CatalogSpec], describe: Describe) -> None:
        self._media = media
        self._described = described
        self._describe = describe

    def all(self) -> tuple[Finding, ...]:
        """All of them, by name, those that are not complete among them."""
        return self._described().findings

    def described(self, name: str) -> Finding | None:
        """One of them, which may have been lost since; None where it was never looked for."""
        return next((each for each in self.all() if each.name == name), None)

    def find(self, name: str) -> Finding | None:
        """One of them; None where it was never looked for, or has been lost."""
        found = self.described(name)
        return found if found and self._read(found.object) is not None else None

    def read(self, finding: Finding) -> bytes:
        """What was found. Raises `FindingNotFound` where it has been made anew, or lost, meanwhile."""
        data = self._read(finding.object)
        if data is None:
            raise FindingNotFound(
                f"What was found of catalog {self._described().name} ({finding.name}) is not there any more: ask "
                "again, or have it looked for anew."
            )
        return data

    def keep(self, finding: Finding, data: bytes) -> Finding:
        """Keeps a finding in the place of one that has its name, and returns it with the name of its object. That of
        the one before is collected soon, but not before whoever has just read the description has read it.

        Raises `CatalogNotFound`, `DataFull`, `DataNotWritable`.
        """
        [kept] = self.keep_all([(finding, data)])
        return kept

    def keep_all(self, findings: Iterable[tuple[Finding, bytes]]) -> list[Finding]:
        """Keeps several that belong together: whoever reads the description sees all of them, or none. Else as
        `keep`."""
        kept = [replace(finding, object=self._media.put_object(data)) for finding, data in findings]
        self._replace(lambda now: with_findings(now, kept))
        return kept

    def remove(self, name: str) -> None:
        """Forgets one of them; does nothing where there is none."""
        self._replace(lambda now: replace(now, findings=tuple(each for each in now.findings if each.name != name)))

    def decided(self) -> str | None:
        """The object that holds what was decided; None: nothing was."""
        return self._described().decisions

    def decisions(self) -> bytes | None:
        """What was decided; None: nothing. Raises `DecisionsNotFound` where it has been lost."""
        return self._decisions(self._described())

    def decide(self, change: Callable[[bytes | None], bytes | None]) -> None:
        """Changes what was decided: `change` makes the new of what it is by then, while nobody else changes it.

        Raises `DecisionsNotFound`, `CatalogNotFound`, `DataFull`, `DataNotWritable`, and what `change` does.
        """

        def decided(now: CatalogSpec) -> CatalogSpec:
            data = change(self._decisions(now))
            return replace(now, decisions=None if data is None else self._media.put_object(data))

        self._describe(decided)

    def forget_decisions(self) -> None:
        """Forgets what was decided where it has been lost; does nothing where nothing was.

        Raises `Conflict` where it is there, `CatalogNotFound`, `DataFull`, `DataNotWritable`.
        """

        def forgotten(now: CatalogSpec) -> CatalogSpec:
            if now.decisions is not None and self._read(now.decisions) is not None:
                raise Conflict(
                    f"What was decided about duplicates of catalog {now.name} is not lost: undo the decisions that you "
                    "do not want any more, one by one."
                )
            return replace(now, decisions=None)

        self._describe(forgotten)

    def _replace(self, change: Callable[[CatalogSpec], CatalogSpec]) -> None:
        """Changes findings, and retires objects that they do not name any more."""
        gone: set[str] = set()

        def changed(now: CatalogSpec) -> CatalogSpec:
            new = change(now)
            gone.clear()
            gone.update({each.object for each in now.findings}.difference(new.objects))
            return new

        self._describe(changed)
        for each in gone:
            self._media.retire(each)

    def _decisions(self, spec: CatalogSpec) -> bytes | None:
        if spec.decisions is None:
            return None
        data = self._read(spec.decisions)
        if data is None:
            raise decisions_lost(spec.name)
        return data

    def _read(self, hash: str) -> bytes | None:
        try:
            return self._media.read_object(hash)
        except FeaturesNotFound:
            return None
