"""Published images as containers of the tests, by testcontainers, reached at 127.0.0.1 alone.

Where there is no Docker, or an image is not to be had, the tests that need it are skipped, saying so.
"""

from __future__ import annotations

import asyncio
import gc
import os
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

from deploy.local.ports import HOST


@asynccontextmanager
async def running(
    image: str, ports: Mapping[int, int], *, env: Mapping[str, str] | None = None, command: str | None = None
) -> AsyncIterator[None]:
    """A container, removed at the end; what is in it may not be ready yet.

    Args:
        image: with its tag.
        ports: of the container, each with that of 127.0.0.1 by which it is reached.
        env: variables of its environment.
        command: instead of the image's.
    """
    # A machine that looks like a container itself would be expected to reach others by their network.
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
    if (why := await asyncio.to_thread(_missing, image)) is not None:
        pytest.skip(f"{image} is needed in a container, and {why}")
    container = _container(image, ports, env or {}, command)
    try:
        await asyncio.to_thread(container.start)
        yield
    finally:
        await asyncio.to_thread(container.stop)


def _container(image: str, ports: Mapping[int, int], env: Mapping[str, str], command: str | None) -> Any:
    from testcontainers.core.container import DockerContainer

    container: Any = DockerContainer(image, command=command, env=dict(env))
    # `with_bind_ports` knows no address, and would publish to the network.
    container.ports = {str(inside): (HOST, outside) for inside, outside in ports.items()}
    return container


def _missing(image: str) -> str | None:
    """Why the image cannot be run here, or nothing."""
    import docker  # type: ignore[import-untyped]
    from docker.errors import DockerException, ImageNotFound  # type: ignore[import-untyped]
    from testcontainers.core.config import testcontainers_config

    # Refused, the client leaves its socket to the garbage, which would be told of as a leak of some test.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        try:
            client = docker.from_env()
        except DockerException as error:
            return f"there is no Docker here: {error}"
        finally:
            gc.collect()
    # Beside every container runs one that removes it when the tests are killed.
    beside = [] if testcontainers_config.ryuk_disabled else [testcontainers_config.ryuk_image]
    with closing(client):
        for needed in (image, *beside):
            try:
                client.images.get(needed)
            except ImageNotFound:
                try:
                    client.images.pull(needed)
                except DockerException as error:
                    return f"{needed} is not to be had: {error}"
    return None
