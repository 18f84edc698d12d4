"""The tour of the code is true: every path that CONTRIBUTING.md and the docs name exists, and no room is left out."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOUR = [ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"]
PAGES = sorted({*TOUR, *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "bench" / "README.md"})
PACKAGES = ["services", "workers", "api"]
TOP = ["services", "workers", "api", "client", "tests", "bench", "docs", "deploy", r"\.ci"]
"""What the path of a file of ours begins with."""
PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(TOP)})/[\w./-]*\w|(?<![\w./-])(?:{'|'.join(TOP)})/(?![\w./-])")
TREE_LINE = re.compile(r"^( *)([\w./, ]+?)(?:  |$)")
INDENT = 2


def tree_of(page: str) -> str:
    """The page's tree of folders and modules: its block that begins with `services/`."""
    [tree] = re.findall(r"^```text\n(services/.*?)^```", page, re.MULTILINE | re.DOTALL)
    return str(tree)


def entries(tree: str) -> Iterator[str]:
    """The paths of a tree in which each folder is indented by two spaces more than the one it is in."""
    folders: list[str] = []
    for line in tree.splitlines():
        match = TREE_LINE.match(line)
        assert match, line
        depth = len(match[1]) // INDENT
        if depth > len(folders):
            continue  # the rest of a description
        folders = folders[:depth]
        for name in match[2].split(", "):
            yield "/".join([*folders, name.rstrip("/")])
        if match[2].endswith("/"):
            folders.append(match[2].rstrip("/"))


def missing(root: Path, text: str) -> list[str]:
    """What a page names, in its text or in its tree, and what is not there."""
    prose = re.sub(r"^```text\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    named = [path.group().split("::")[0] for path in PATH.finditer(prose)]
    if "```text\nservices/" in text:
        named += entries(tree_of(text))
    return sorted({path for path in named if not (root / path).exists()})


def rooms(root: Path) -> set[str]:
    """Every package and module that lies directly in a package of ours."""
    return {
        str(path.relative_to(root))
        for package in PACKAGES
        for path in (root / package).iterdir()
        if path.stem != "__init__" and (path.suffix == ".py" or (path / "__init__.py").exists())
    }


def left_out(root: Path, tree: str) -> list[str]:
    """The rooms that a tree has no entry for."""
    return sorted(rooms(root) - set(entries(tree)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    assert page not in TOUR or len(PATH.findall(text)) > 10
    assert missing(ROOT, text) == []


def test_every_room_is_in_the_tree() -> None:
    assert left_out(ROOT, tree_of((ROOT / "docs" / "architecture.md").read_text())) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.parametrize("path", ["services/planted.py", "tests/api/planted", "docs/planted.md"])
def test_a_path_that_does_not_exist_is_found(page: Path, path: str) -> None:
    assert missing(ROOT, f"{page.read_text()}\nSee `{path}`.\n") == [path]


def test_an_entry_of_the_tree_that_does_not_exist_is_found() -> None:
    tree = (
        "services/    the domain\n  index/       vectors,\n               and more\n"
        "  errors.py, planted.py    what fails\n  lost/        nothing\n    deep.py      nothing\n"
    )
    text = f"```text\n{tree}```\n"
    assert missing(ROOT, text) == ["services/lost", "services/lost/deep.py", "services/planted.py"]


def test_a_room_that_is_left_out_is_found(tmp_path: Path) -> None:
    for room in ("services/index", "services/attic"):
        (tmp_path / room).mkdir(parents=True)
        (tmp_path / room / "__init__.py").touch()
    for package, module in (("services", "__init__"), ("workers", "app"), ("workers", "porch"), ("api", "errors")):
        (tmp_path / package).mkdir(exist_ok=True)
        (tmp_path / package / f"{module}.py").touch()
    (tmp_path / "api" / "ui").mkdir()
    tree = (
        "services/    rooms, attic too\n  index/       vectors\nworkers/     work\n  app.py       porch\napi/    HTTP\n"
    )
    assert left_out(tmp_path, tree) == ["api/errors.py", "services/attic", "workers/porch.py"]
