"""compose.yaml, the Dockerfile and what lies beside them say what the settings, the commands and the tree say.

No Docker is needed: the files are read. Each check is a function that gives what is wrong, and is shown faults.
"""

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from api.cli.main import cli
from services import settings
from services.index.client import OLDEST
from services.queue.broker import QUEUE
from services.settings import Settings

ROOT = Path(__file__).parent.parent
LOCKS = ["requirements.lock", "requirements-cpu.lock", "requirements-gpu.lock"]
FILES = ["compose.yaml", "Dockerfile", ".dockerignore", ".gitignore", ".env", *LOCKS]
OURS = ["api", "worker", "worker-gpu"]
SECRETS = "/run/secrets/"


class Deployment:
    """The files, by name, `changed` where a test changes them."""

    def __init__(self, **changed: str) -> None:
        self.text = {name: (ROOT / name).read_text() for name in FILES} | changed
        self.compose: dict[str, Any] = yaml.safe_load(self.text["compose.yaml"])
        self.services: dict[str, Any] = self.compose["services"]
        joined = self.text["Dockerfile"].replace("\\\n", " ")
        self.lines = [shlex.split(line, comments=True) for line in joined.splitlines() if line.strip()]
        self.lines = [line for line in self.lines if line]

    @property
    def stages(self) -> dict[str, str]:
        """What each stage of the Dockerfile begins with."""
        return {line[3]: line[1] for line in self.lines if line[0] == "FROM"}

    def said(self, target: str, word: str) -> list[list[str]]:
        """A target's instructions of that name, those of the stages it begins with first."""
        if target not in self.stages:
            return []
        own, stage = [], ""
        for line in self.lines:
            stage = line[3] if line[0] == "FROM" else stage
            if stage == target and line[0] == word:
                own.append(line[1:])
        return self.said(self.stages[target], word) + own

    def ignored(self, path: PurePosixPath) -> bool:
        """Whether .dockerignore keeps a path from the builder: the last line that speaks of it decides."""
        out = False
        for line in self.text[".dockerignore"].splitlines():
            pattern = line.removeprefix("!")
            if pattern and not pattern.startswith("#") and _matches(pattern, path):
                out = not line.startswith("!")
        return out


def _matches(pattern: str, path: PurePosixPath) -> bool:
    parts = pattern.removeprefix("**/").split("/")
    starts = range(len(path.parts)) if pattern.startswith("**/") else [0]
    return any(
        len(path.parts) >= start + len(parts)
        and all(fnmatch(part, wanted) for part, wanted in zip(path.parts[start:], parts, strict=False))
        for start in starts
    )


def _environments(of: Deployment) -> list[dict[str, str]]:
    return [of.services[name].get("environment", {}) for name in OURS]


def _mounts(service: dict[str, Any]) -> dict[str, str]:
    return dict(mount.split(":")[:2] for mount in service.get("volumes", []))


def _shell(service: dict[str, Any]) -> str:
    """What a service's shell is given."""
    assert service["entrypoint"] == ["sh", "-c"]
    [script] = service["command"]
    return str(script).replace("$$", "$")


def _health(service: dict[str, Any]) -> str:
    return " ".join(service.get("healthcheck", {}).get("test", []))


def variables(of: Deployment) -> Iterator[str]:
    known = {f"LOOKALIKE_{name.upper()}" for name in Settings.model_fields} | {"LOOKALIKE_SECRETS"}
    for name, service in of.services.items():
        yield from (f"{name}: {each}" for each in service.get("environment", {}) if each not in known)
    if any(each != _environments(of)[0] or not each for each in _environments(of)):
        yield "API and workers are told different things"


def commands(of: Deployment) -> Iterator[str]:
    for name in OURS:
        program, command, *rest = shlex.split(of.services[name]["command"])
        # With the settings of the real one: click remembers at a command which help option it was first asked for.
        parent = click.Context(cli, **cli.context_settings)
        found = cli.get_command(parent, command)
        if program != "lookalike" or found is None:
            yield f"{name}: {program} {command}"
            continue
        try:
            found.make_context(command, rest, parent=parent)
        except click.ClickException as error:
            yield f"{name}: {error.format_message()}"


def secrets(of: Deployment) -> Iterator[str]:
    declared = of.compose["secrets"]
    for name, secret in declared.items():
        if name.removeprefix("lookalike_") not in Settings.model_fields or not name.startswith("lookalike_"):
            yield f"{name} is no setting"
        folder = PurePosixPath(secret["file"]).parent
        if f"/{folder}/" not in of.text[".gitignore"].splitlines() or not of.ignored(PurePosixPath(secret["file"])):
            yield f"{secret['file']} can be committed, or goes into the image"
    for name, service in of.services.items():
        used = set(service.get("secrets", []))
        yield from (f"{name}: {each} is not declared" for each in used - set(declared))
        read = set(re.findall(rf"{SECRETS}(\w+)", str(service["command"])))
        yield from (f"{name}: {each} is not mounted" for each in read - used)
        if name in [*OURS, "qdrant"] and used != set(declared):
            yield f"{name} has not the key"


def ports(of: Deployment) -> Iterator[str]:
    environment = of.services["api"]["environment"]
    for setting, default in (("LOOKALIKE_REDIS_URL", 6379), ("LOOKALIKE_QDRANT_URL", 6333)):
        url = urlsplit(environment[setting])
        if url.hostname not in of.services or url.port != default:
            yield f"{setting}: {url.netloc} is no service"
    if f"127.0.0.1/{urlsplit(environment['LOOKALIKE_QDRANT_URL']).port}" not in _health(of.services["qdrant"]):
        yield "Qdrant's health check asks elsewhere"
    api = shlex.split(of.services["api"]["command"])
    port = api[api.index("--port") + 1]
    if [each.split(":")[-1] for each in of.services["api"]["ports"]] != [port] or "0.0.0.0" not in api:
        yield "nobody reaches the API"
    asked = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", _health(of.services["api"]))
    if [each for each, _ in asked] != [port] or not {path for _, path in asked} <= {"/livez", "/readyz"}:
        yield "the API's health check asks elsewhere"
    flower = _shell(of.services["flower"])
    if of.services["flower"]["ports"] != [f"127.0.0.1:{at}:{at}" for at in re.findall(r"--port=(\d+)", flower)]:
        yield "Flower is not where it is, or lets everybody in"
    if f"--broker={environment['LOOKALIKE_REDIS_URL']} " not in flower:
        yield "Flower looks at another Redis"
    if f'task_default_queue = "{QUEUE}"' not in flower:
        yield "Flower looks at another queue"


def health(of: Deployment) -> Iterator[str]:
    yield from (name for name in ("redis", "qdrant", "api") if not _health(of.services[name]))
    for name, service in of.services.items():
        for other, how in service.get("depends_on", {}).items():
            if how != {"condition": "service_healthy"} or not _health(of.services.get(other, {})):
                yield f"{name} does not wait for {other}"


def volumes(of: Deployment) -> Iterator[str]:
    used = {name for service in of.services.values() for name in _mounts(service)}
    if used != set(of.compose["volumes"]):
        yield f"declared and used differ: {used ^ set(of.compose['volumes'])}"
    for name in OURS:
        environment, places = of.services[name]["environment"], _mounts(of.services[name])
        if places != _mounts(of.services["api"]) or list(places.values()) != [environment["LOOKALIKE_DATA"]]:
            yield f"{name} has the data elsewhere"
        if not environment["LOOKALIKE_API_KEYS_FILE"].startswith(environment["LOOKALIKE_DATA"] + "/"):
            yield f"{name} keeps keys where they are lost"
    for name, place in (("redis", "/data"), ("qdrant", "/qdrant/storage")):
        if place not in _mounts(of.services[name]).values():
            yield f"{name} keeps nothing"


def targets(of: Deployment) -> Iterator[str]:
    images: dict[str, str] = {}
    for name, service in of.services.items():
        if build := service.get("build"):
            if build["target"] not in of.stages or not (ROOT / build["context"] / "Dockerfile").exists():
                yield f"{name}: {build}"
            if images.setdefault(service["image"], build["target"]) != build["target"]:
                yield f"{name}: {service['image']} is two things"
    if set(images.values()) != {"cpu", "worker-gpu"}:
        yield f"built are {images}"
    if of.services["worker-gpu"]["build"]["target"] != "worker-gpu":
        yield "the GPU worker has no CUDA"


def copies(of: Deployment) -> Iterator[str]:
    for line in of.lines:
        if line[0] != "COPY":
            continue
        if line[1].startswith("--from="):
            if line[1].removeprefix("--from=") not in of.stages:
                yield f"{line[1]} is no stage"
            continue
        for source in line[1:-1]:
            found = ROOT / source
            files = [path for path in [found, *found.rglob("*")] if path.is_file() and "__pycache__" not in path.parts]
            paths = [PurePosixPath(path.relative_to(ROOT).as_posix()) for path in files]
            if not paths or any(of.ignored(path) for path in paths):
                yield f"{source} does not reach the builder"
    yield from (
        f"{name} does" for name in (".git/config", "tests/conftest.py", ".env") if not of.ignored(PurePosixPath(name))
    )


def profiles(of: Deployment) -> Iterator[str]:
    found = {name: service["profiles"] for name, service in of.services.items() if "profiles" in service}
    if found != {"worker": ["cpu"], "worker-gpu": ["gpu"], "flower": ["monitoring"]}:
        yield str(found)
    if "COMPOSE_PROFILES=cpu" not in of.text[".env"].splitlines():
        yield "`docker compose up` starts no worker"


def gpus(of: Deployment) -> Iterator[str]:
    devices = [each.get("deploy", {}).get("resources", {}).get("reservations", {}) for each in of.services.values()]
    wanted = {"devices": [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]}
    if [each for each in devices if each] != [wanted] or "deploy" not in of.services["worker-gpu"]:
        yield f"reserved are {devices}"
    if "--device gpu:0" not in of.services["worker-gpu"]["command"] or "gpu" in of.services["worker"]["command"]:
        yield "a worker is on the wrong device"


def images(of: Deployment) -> Iterator[str]:
    pulled = {service["image"] for service in of.services.values() if "build" not in service}
    pulled |= {each for each in of.stages.values() if each not in of.stages}
    yield from (each for each in pulled if not re.fullmatch(r"[a-z/]+:v?\d+\.\d+[a-z0-9.-]*", each))
    version = re.search(r"qdrant:v(\d+)\.(\d+)\.\d+-unprivileged$", of.services["qdrant"]["image"])
    if not version or (int(version[1]), int(version[2])) < OLDEST:
        yield f"Qdrant is {of.services['qdrant']['image']}"


def users(of: Deployment) -> Iterator[str]:
    yield from (f"{name} is {each['user']}" for name, each in of.services.items() if "user" in each)
    data = of.services["api"]["environment"]["LOOKALIKE_DATA"]
    for target in ("cpu", "worker-gpu"):
        runs = " ".join(" ".join(words) for words in of.said(target, "RUN"))
        if [words[0].split(":")[0] for words in of.said(target, "USER")][-1:] != re.findall(r"--uid (\d+)", runs):
            yield f"{target} is not the user that it makes"
        if f"install -d -o lookalike -g lookalike {data}" not in runs:
            yield f"{target} cannot write to {data}"


def signals(of: Deployment) -> Iterator[str]:
    for target in ("cpu", "worker-gpu"):
        if of.said(target, "STOPSIGNAL") != [["SIGTERM"]] or of.said(target, "ENTRYPOINT"):
            yield f"{target} does not run and end as it is told"
    yield from (name for name in OURS if of.services[name]["stop_grace_period"] != "30s")


def keeping(of: Deployment) -> Iterator[str]:
    redis = shlex.split(of.services["redis"]["command"])
    said = dict(zip(redis[1::2], redis[2::2], strict=True))
    for option, value in (("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")):
        if said.get(f"--{option}") != value:
            yield f"Redis: {option} {said.get(f'--{option}')}"


def pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[a-z0-9,-]+\])?==([^\s;]+)", lock, re.MULTILINE))


def extras(lock: str) -> Iterator[str]:
    """What a package requires with an extra and the lock pins without it: pip takes such a requirement for one that is
    not pinned, looks at the newest release and refuses it, so that a new release of theirs would break every setup."""
    pinned = {
        name: {*said.split(",")} for name, said in re.findall(r"^([a-z0-9._-]+)\[([a-z0-9,-]+)\]==", lock, re.MULTILINE)
    }
    for name in pins(lock):
        with suppress(PackageNotFoundError):  # what only the GPU image holds
            for each in map(Requirement, requires(name) or []):
                asked = [{"extra": extra} for extra in ("", *pinned.get(name, ()))]
                if each.extras and (each.marker is None or any(map(each.marker.evaluate, asked))):
                    of = canonicalize_name(each.name)
                    yield from (f"{of}[{extra}]" for extra in each.extras - pinned.get(of, set()))


def plain(lock: str) -> Iterator[str]:
    """What the lock pins with an extra only: pip 23.2, which comes with Python 3.11, takes the same without it for
    what is not pinned, as soon as something that it looks at earlier requires that."""
    for name, version in re.findall(r"^([a-z0-9._-]+)\[[a-z0-9,-]+\](==[^\s;]+)", lock, re.MULTILINE):
        if f"\n{name}{version} " not in lock:
            yield f"{name}{version}"


def locks(of: Deployment) -> Iterator[str]:
    every = pins(of.text["requirements.lock"])
    for name in LOCKS:
        lock = of.text[name]
        found = pins(lock)
        yield from (f"{name}: {each}" for each in found if found[each] != every.get(each, found[each]))
        entries = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]
        yield from (f"{name}: {entry[:40]}" for entry in entries if "--hash=sha256:" not in entry or "==" not in entry)
        yield from (f"{name} lacks {each}" for each in (*extras(lock), *plain(lock)))
        if "://" in lock or re.search(r"^\s*(--?\w[\w-]*)(?<!--hash)\b(?!=sha256)", lock, re.MULTILINE):
            yield f"{name} says where packages are"
    runs, with_cuda = pins(of.text["requirements-cpu.lock"]), pins(of.text["requirements-gpu.lock"])
    if {"pytest", "ruff", "mypy", "hatchling"} & {*runs, *with_cuda} or not runs.keys() < every.keys():
        yield "what develops is in an image"
    if not runs.keys() < with_cuda.keys() or not any(name.startswith("nvidia-cudnn") for name in with_cuda):
        yield "the GPU image lacks something"


def installs(of: Deployment) -> Iterator[str]:
    """Of packages nothing comes without a hash, and the awk line takes all that builds the project."""
    for line in of.lines:
        text = " ".join(line)
        if (
            line[0] == "RUN"
            and "pip" in line
            and not {"--require-hashes", "--no-index", "--no-build-isolation"} & {*line}
        ):
            yield text
    for target, lock in (("cpu", "requirements-cpu.lock"), ("worker-gpu", "requirements-gpu.lock")):
        [stage] = {words[0].removeprefix("--from=") for words in of.said(target, "COPY")}
        if [words[words.index("-r") + 1] for words in of.said(stage, "RUN") if "-r" in words] != [lock]:
            yield f"{target} is not {lock}"
    [taken] = re.findall(r"\^\(([a-z|-]+)\)==", of.text["Dockerfile"])
    builds = {"hatchling"}
    for entry in re.split(r"^(?=[a-z0-9])", of.text["requirements.lock"], flags=re.MULTILINE):
        if re.search(r"^    # +(via )?hatchling$", entry, re.MULTILINE):
            builds.add(re.split(r"\[|==", entry)[0])
    if set(taken.split("|")) != builds:
        yield f"to build takes {builds}"


Check = Callable[[Deployment], Iterator[str]]
CHECKS: list[Check] = [
    variables, commands, secrets, ports, health, volumes, targets, copies, profiles, gpus, images, users, signals,
    keeping, locks, installs,
]  # fmt: skip

FAULTS: list[tuple[Check, str, str, str]] = [
    (variables, "compose.yaml", "LOOKALIKE_DATA:", "LOOKALIKE_FOLDER:"),
    (variables, "compose.yaml", "    profiles: [cpu]", "    profiles: [cpu]\n    environment: {LOOKALIKE_DATA: /data}"),
    (commands, "compose.yaml", "--device gpu:0", "--devices gpu:0"),
    (commands, "compose.yaml", "command: lookalike worker\n", "command: lookalike work\n"),
    (commands, "compose.yaml", "--port 8080", "--port http"),
    (secrets, "compose.yaml", "lookalike_qdrant_api_key", "lookalike_qdrant_key"),
    (secrets, "compose.yaml", "cat /run/secrets/lookalike_qdrant", "cat /run/secrets/qdrant"),
    (secrets, "compose.yaml", "file: ./secrets/", "file: ./keys/"),
    (secrets, ".gitignore", "/secrets/", ""),
    (secrets, ".dockerignore", "!api\n", "!api\n!secrets\n"),
    (ports, "compose.yaml", "--port 8080", "--port 8081"),
    (ports, "compose.yaml", "8080:8080", "8080:80"),
    (ports, "compose.yaml", "127.0.0.1:8080", "127.0.0.1:8000"),
    (ports, "compose.yaml", "/readyz", "/v1"),
    (ports, "compose.yaml", "http://qdrant:6333", "http://index:6333"),
    (ports, "compose.yaml", "127.0.0.1/6333", "127.0.0.1/6334"),
    (ports, "compose.yaml", "127.0.0.1:5555:5555", "5555:5555"),
    (ports, "compose.yaml", "--broker=redis://redis:6379/0", "--broker=redis://redis:6379/1"),
    (ports, "compose.yaml", 'task_default_queue = "lookalike"', 'task_default_queue = "celery"'),
    (health, "compose.yaml", "healthcheck: {test: [CMD, redis-cli", "labels: {test: [CMD, redis-cli"),
    (health, "compose.yaml", "service_healthy", "service_started"),
    (volumes, "compose.yaml", "media: {}", "originals: {}"),
    (volumes, "compose.yaml", '"media:/data"', '"media:/var/data"'),
    (volumes, "compose.yaml", "/data/api-keys", "/etc/api-keys"),
    (volumes, "compose.yaml", "/qdrant/storage", "/storage"),
    (targets, "compose.yaml", "target: cpu", "target: api"),
    (targets, "compose.yaml", "image: lookalike-gpu", "image: lookalike"),
    (targets, "Dockerfile", "AS worker-gpu", "AS gpu"),
    (copies, "Dockerfile", "COPY workers workers", "COPY worker worker"),
    (copies, "Dockerfile", "--from=wheel", "--from=build"),
    (copies, ".dockerignore", "!services\n", ""),
    (copies, ".dockerignore", "!client\n", ""),
    (copies, ".dockerignore", "*\n!pyproject.toml", "!pyproject.toml"),
    (profiles, "compose.yaml", "profiles: [gpu]", "profiles: [cpu, gpu]"),
    (profiles, "compose.yaml", "    profiles: [monitoring]\n", ""),
    (profiles, ".env", "=cpu", "="),
    (gpus, "compose.yaml", "capabilities: [gpu]", "capabilities: [utility]"),
    (gpus, "compose.yaml", "--device gpu:0", "--device cpu"),
    (images, "compose.yaml", "redis:8.2-alpine", "redis:latest"),
    (images, "compose.yaml", "flower:2.0.1", "flower"),
    (images, "compose.yaml", "v1.18.0", "v1.17.0"),
    (images, "Dockerfile", "python:3.11-slim-bookworm", "python:slim"),
    (users, "Dockerfile", "USER 10001:10001", "USER root"),
    (users, "Dockerfile", "USER 10001:10001\n", ""),
    (users, "Dockerfile", "lookalike /data", "lookalike /var/data"),
    (users, "compose.yaml", "  init: true", "  init: true\n  user: root"),
    (signals, "Dockerfile", "STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL"),
    (signals, "Dockerfile", "STOPSIGNAL SIGTERM", 'STOPSIGNAL SIGTERM\nENTRYPOINT ["lookalike"]'),
    (signals, "compose.yaml", "stop_grace_period: 30s", "stop_grace_period: 5s"),
    (keeping, "compose.yaml", "--appendonly yes", "--appendonly no"),
    (keeping, "compose.yaml", "--appendfsync always", "--appendfsync everysec"),
    (keeping, "compose.yaml", "noeviction", "allkeys-lru"),
    (locks, "requirements-gpu.lock", "numpy==", "numpy==9"),
    (locks, "requirements-cpu.lock", "--hash=sha256:", "# sha256:"),
    (locks, "requirements-cpu.lock", "absl-py==", "pytest==9 \\\n    --hash=sha256:00\nabsl-py=="),
    (locks, "requirements-gpu.lock", "nvidia-cudnn", "nvidia-dnn"),
    (locks, "requirements.lock", "pydantic[email]==", "pydantic=="),
    (locks, "requirements.lock", "\npydantic==", "\npydantic[email]=="),
    (locks, "requirements.lock", "absl-py==", "--index-url somewhere\nabsl-py=="),
    (locks, "requirements.lock", "# via", "# via https://example.org"),
    (installs, "Dockerfile", "install --require-hashes", "install"),
    (installs, "Dockerfile", "-r requirements-gpu.lock", "-r requirements-cpu.lock"),
    (installs, "Dockerfile", "|tomlkit", ""),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_files_agree_about(check: Check) -> None:
    assert list(check(Deployment())) == []


@pytest.mark.parametrize(("check", "file", "old", "new"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_a_fault_is_found(check: Check, file: str, old: str, new: str) -> None:
    text = (ROOT / file).read_text()
    assert old in text
    assert list(check(Deployment(**{file: text.replace(old, new)}))) != []


def test_every_check_is_shown_a_fault() -> None:
    assert {check for check, *_ in FAULTS} == {*CHECKS}


def test_the_settings_take_what_compose_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compose = Deployment()
    for name, value in compose.services["api"]["environment"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOOKALIKE_SECRETS", str(tmp_path))
    for name in compose.compose["secrets"]:
        (tmp_path / name).write_text("the key\n")
    told = settings.load()
    assert told.qdrant_api_key.get_secret_value() == "the key"
    assert (told.data, told.api_keys_file) == (Path("/data"), Path("/data/api-keys"))
    assert (told.redis_url, told.qdrant_url) == ("redis://redis:6379/0", "http://qdrant:6333")


def test_qdrant_gets_the_key_of_the_file_and_does_not_start_without(tmp_path: Path) -> None:
    (tmp_path / "entrypoint.sh").write_text('#!/bin/sh\nprintf %s "$QDRANT__SERVICE__API_KEY"\n')
    (tmp_path / "entrypoint.sh").chmod(0o700)
    script = _shell(Deployment().services["qdrant"]).replace(SECRETS, f"{tmp_path}/")
    command = ["sh", "-c", script]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0
    (tmp_path / "lookalike_qdrant_api_key").write_text("the key\n")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout == b"the key"
