"""A PostgreSQL server of the tests' own: private folder, loopback, gone with the tests."""

from __future__ import annotations

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

_CONFIG = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
full_page_writes = off
max_connections = 200
shared_buffers = 16MB
"""


@dataclass
class Server:
    """A running server and the databases made in it."""

    port: int
    password: str
    process: subprocess.Popen[bytes]
    numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str, port: int | None = None) -> str:
        place = f"127.0.0.1:{port or self.port}/{database}"
        return f"postgresql://postgres:{self.password}@{place}"

    def execute(self, statement: str, database: str = "postgres") -> Any:
        engine = create_engine(self.driver_url(database), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            result = connection.execute(text(statement))
            rows = result.all() if result.returns_rows else None
        engine.dispose()
        return rows

    def driver_url(self, database: str) -> str:
        return self.url(database).replace("postgresql:", "postgresql+psycopg:")

    def new(self, template: str = "template0") -> str:
        """Make a database, empty or as another one, and return its name."""
        name = f"test_{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A private PostgreSQL server; in CI its absence is a failure, not a skip."""
    binaries = _binaries()
    if binaries is None or find_spec("psycopg") is None:
        lacking = (
            "PostgreSQL or its driver: apt-get install postgresql, pip install psycopg[binary]"
        )
        if os.environ.get("DEXML_REQUIRE_COMPONENTS"):
            pytest.fail(lacking)
        pytest.skip(lacking)
    # not below pytest's own folder, which only the user who tests may enter
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        server = _started(binaries, folder)
        try:
            yield server
        finally:
            server.process.send_signal(signal.SIGQUIT)
            server.process.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = newest[-1] if newest else shutil.which("initdb")
    return None if found is None else Path(found).resolve().parent


def _started(binaries: Path, folder: Path) -> Server:
    password = secrets.token_hex(16)
    secret = folder / "password"
    secret.write_text(password)
    user = _give_away(folder, secret)
    data = folder / "data"
    init = [binaries / "initdb", "-D", data, "-U", "postgres", "--locale=C", "--encoding=UTF8"]
    init += ["--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync"]
    subprocess.run(init, **user, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    port = _free_port()
    with (data / "postgresql.conf").open("a") as file:
        file.write(f"{_CONFIG}port = {port}\n")
    process = subprocess.Popen(
        [binaries / "postgres", "-D", data],
        **user,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("wb"),
        preexec_fn=_die_with_the_tests,
    )
    server = Server(port=port, password=password, process=process)
    _wait(lambda: server.execute("SELECT 1"), process, folder / "log")
    return server


def _give_away(*paths: Path) -> dict[str, Any]:
    """Return whom to run the server as: it refuses to run as root."""
    if os.getuid() != 0:
        return {}
    owner = pwd.getpwnam("postgres")
    for path in paths:
        os.chown(path, owner.pw_uid, owner.pw_gid)
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _die_with_the_tests() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(ask: Callable[[], Any], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            ask()
            return
        except OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start: {log.read_text()[-2_000:]}")
            time.sleep(0.05)
