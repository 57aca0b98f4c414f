"""The cache of Kafka's jars: whole and as locked, or not there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from deploy.local import jars
from deploy.local.jars import BadJar, Jar, Lock

CONTENT = {"one": b"the first", "two": b"the second"}


def jar(name: str, content: bytes) -> Jar:
    return Jar(f"org.example:{name}:1.0", len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What is to be fetched; `Artifact.resolve` of jgo is answered from here."""
    from jgo.maven import Artifact

    contents = dict(CONTENT)

    def resolve(artifact: Artifact) -> Path:
        path = artifact.cached_path
        assert isinstance(path, Path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[artifact.artifactId])
        return path

    monkeypatch.setattr(Artifact, "resolve", resolve)
    monkeypatch.setattr(Lock, "read", lambda: Lock("9.9", tuple(jar(*item) for item in CONTENT.items())))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return contents


class TestKafkaJars:
    def test_they_are_fetched_once(self, remote: dict[str, bytes]) -> None:
        found = jars.kafka_jars()
        assert [path.read_bytes() for path in found] == list(CONTENT.values())
        remote.clear()
        assert jars.kafka_jars() == found

    def test_it_is_said_what_is_fetched_and_that_it_was_checked(
        self, remote: dict[str, bytes], capsys: pytest.CaptureFixture[str]
    ) -> None:
        jars.kafka_jars()
        assert capsys.readouterr().err.splitlines() == [
            "fetching Apache Kafka 9.9 (0 MB, once)",
            "fetched, and every jar is the one in the lock",
        ]
        jars.kafka_jars()
        assert capsys.readouterr() == ("", "")

    def test_two_clones_share_what_was_fetched(self, remote: dict[str, bytes], tmp_path: Path) -> None:
        assert all(path.is_relative_to(tmp_path / "onbelay") for path in jars.kafka_jars())

    def test_one_that_is_not_the_locked_one_leaves_nothing(self, remote: dict[str, bytes]) -> None:
        remote["two"] = b"something else"
        with pytest.raises(BadJar, match="org.example:two:1.0"):
            jars.kafka_jars()
        assert list(jars.cache().iterdir()) == []

    def test_an_interrupted_fetch_leaves_nothing(self, remote: dict[str, bytes]) -> None:
        del remote["two"]
        with pytest.raises(KeyError):
            jars.kafka_jars()
        assert list(jars.cache().iterdir()) == []

    def test_a_cache_that_lost_a_part_is_fetched_anew(self, remote: dict[str, bytes]) -> None:
        found = jars.kafka_jars()
        found[0].write_bytes(b"cut")
        found[1].unlink()
        assert [path.read_bytes() for path in jars.kafka_jars()] == list(CONTENT.values())

    def test_another_lock_has_another_folder(self, remote: dict[str, bytes]) -> None:
        first = Lock("9.9", (jar("one", b"a"),))
        second = Lock("9.9", (jar("one", b"b"),))
        assert first.digest != second.digest


class TestTheCommittedLock:
    def test_it_holds_kafka_and_its_logging(self) -> None:
        lock = Lock.read()
        names = {each.file_name for each in lock.jars}
        assert f"kafka_2.13-{lock.kafka}.jar" in names
        assert f"kafka-clients-{lock.kafka}.jar" in names
        assert any(name.startswith("log4j-slf4j-impl-") for name in names)

    def test_no_jar_is_there_in_two_versions(self) -> None:
        artifacts = [each.coordinate.rpartition(":")[0] for each in Lock.read().jars]
        assert len(artifacts) == len(set(artifacts))
