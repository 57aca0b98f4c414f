"""Apache Kafka's jars: fetched once by jgo into a cache that all clones share, each checked against the lock.

`kafka.lock.json` holds the coordinates, sizes and SHA-256 of every jar, so that what runs is what was reviewed.
`python -m deploy.local.jars` fetches them; with `--lock VERSION` it resolves anew and writes the lock.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

LOCK = Path(__file__).with_name("kafka.lock.json")
AT_ONCE = 6


class BadJar(Exception):
    """A jar that was fetched is not the one that was locked."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar: `coordinate` is `group:artifact:version`, `size` in bytes, `sha256` in hex."""

    coordinate: str
    size: int
    sha256: str

    @property
    def file_name(self) -> str:
        """Its name in the cache, as in Maven repositories."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


@dataclass(frozen=True, slots=True)
class Lock:
    """What `kafka.lock.json` holds."""

    kafka: str
    jars: tuple[Jar, ...]

    @classmethod
    def read(cls) -> Lock:
        """The committed lock."""
        document = json.loads(LOCK.read_text())
        return cls(document["kafka"], tuple(Jar(**jar) for jar in document["jars"]))

    def write(self) -> None:
        """Replace the committed lock."""
        LOCK.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @property
    def size(self) -> int:
        """Bytes of all jars."""
        return sum(jar.size for jar in self.jars)

    @property
    def digest(self) -> str:
        """Names this set of jars: twelve hex digits over all of their hashes."""
        return hashlib.sha256("".join(jar.sha256 for jar in self.jars).encode()).hexdigest()[:12]


def cache() -> Path:
    """Where clones share what was fetched: `$XDG_CACHE_HOME/onbelay`, by default `~/.cache/onbelay`."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "onbelay"


def kafka_jars() -> list[Path]:
    """The jars of Kafka's class path, fetched first where the cache lacks them; says so on standard error.

    The cache's folder appears whole or not at all, so that an interrupted fetch leaves nothing to trust, and two
    at once do not harm each other.

    Raises:
        BadJar: what came is not what was locked.
        OSError, RuntimeError: it could not be fetched.
    """
    lock = Lock.read()
    folder = cache() / f"kafka-{lock.kafka}-{lock.digest}"
    jars = [folder / jar.file_name for jar in lock.jars]
    if not all(
        path.is_file() and path.stat().st_size == jar.size for path, jar in zip(jars, lock.jars, strict=True)
    ):
        shutil.rmtree(folder, ignore_errors=True)
        _fetch(lock, folder)
    return jars


def _fetch(lock: Lock, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=folder.parent) as name:
        workplace = Path(name)
        complete = workplace / "complete"
        complete.mkdir()
        with _progress(lock) as bar, ThreadPoolExecutor(AT_ONCE) as pool:
            task = bar.add_task(f"Apache Kafka {lock.kafka}, {len(lock.jars)} jars", total=lock.size)
            fetches = [pool.submit(_fetch_one, jar, workplace / "maven", complete) for jar in lock.jars]
            try:
                for fetch in as_completed(fetches):
                    bar.advance(task, fetch.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        try:
            complete.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise


def _fetch_one(jar: Jar, repository: Path, to: Path) -> int:
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    mirrors = GlobalSettings.load().repositories
    context = MavenContext(
        repo_cache=repository, remote_repos={**mirrors, "central": MAVEN_CENTRAL_URL}, timeout=60
    )
    group, artifact, version = jar.coordinate.split(":")
    fetched = context.project(group, artifact).at_version(version).artifact().resolve()
    sha256 = _sha256(fetched)
    if sha256 != jar.sha256:
        raise BadJar(f"{jar.coordinate}: its SHA-256 is {sha256}, the lock has {jar.sha256}")
    fetched.rename(to / jar.file_name)
    return jar.size


@contextmanager
def _progress(lock: Lock) -> Iterator[Progress]:
    """A bar on a terminal; one line before and one after elsewhere."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    if not console.is_terminal:
        print(
            f"fetching Apache Kafka {lock.kafka} ({lock.size / 1e6:.0f} MB, once)",
            file=sys.stderr,
            flush=True,
        )
    with bar:
        yield bar
    if not console.is_terminal:
        print("fetched, and every jar is the one in the lock", file=sys.stderr, flush=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def resolve(version: str) -> Lock:
    """The jars of that version of Kafka as they are now, for the lock.

    The bridge from slf4j to log4j is resolved in a call of its own: in one with Kafka it would pull kafka-clients
    down to an older version.
    """
    import jgo

    kafka = jgo.resolve(f"org.apache.kafka:kafka_2.13:{version}")
    log4j = next(artifact.version for artifact in kafka if artifact.artifactId == "log4j-core")
    bridge = jgo.resolve(f"org.apache.logging.log4j:log4j-slf4j-impl:{log4j}")
    found = {(artifact.groupId, artifact.artifactId): artifact for artifact in [*bridge, *kafka]}
    jars = []
    for (group, name), artifact in sorted(found.items()):
        path = artifact.resolve()
        jars.append(Jar(f"{group}:{name}:{artifact.version}", path.stat().st_size, _sha256(path)))
    return Lock(version, tuple(jars))


def main(arguments: Sequence[str] | None = None) -> None:
    """Fetch the jars, or write the lock anew."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.jars", description=__doc__)
    parser.add_argument("--lock", metavar="VERSION", help="resolve this version of Kafka and write the lock")
    options = parser.parse_args(arguments)
    if options.lock:
        resolve(options.lock).write()
    print(kafka_jars()[0].parent)


if __name__ == "__main__":
    main()
