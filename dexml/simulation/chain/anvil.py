"""The process of a local chain: anvil on a free port of the loopback, gone when its parent is."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from dexml.errors import EnvironmentRefused
from dexml.execution.rpc import Node, NodeAway, NodeRefused
from dexml.simulation.chain.packages import ANVIL, fetched

__all__ = ["CHAIN_ID", "Anvil"]

CHAIN_ID = 31_337
GENESIS_AT = 1_704_067_200  # 2024-01-01; the chain's time is its own
_PR_SET_PDEATHSIG = 1
_START_LIMIT_S = 20.0
_libc = ctypes.CDLL(None)  # before the fork: after it nothing may be imported


class Anvil:
    """A running anvil; a context that ends it.

    Parameters
    ----------
    folder : Path
        Where `fetch` keeps the packages.
    chain_id : int
        What it says it is.

    Raises
    ------
    EnvironmentRefused
        If it is not there or does not start.
    """

    def __init__(self, folder: Path, chain_id: int = CHAIN_ID) -> None:
        program = fetched(folder) / ANVIL
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.node = Node(self.url, limit_s=30.0)
        command = [
            str(program),
            *("--host", "127.0.0.1", "--port", str(self.port), "--chain-id", str(chain_id)),
            *("--timestamp", str(GENESIS_AT), "--accounts", "3", "--silent"),
            *("--block-base-fee-per-gas", "1000000000", "--order", "fees"),
            # States that it writes to disk, some 600 blocks back, come back from there without the
            # code of contracts: after a reorganisation calls to them succeed and do nothing.
            *("--prune-history", "5000"),
        ]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                preexec_fn=_die_with_parent,
            )
        except OSError as error:
            raise self._refused(error) from error
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Number of the process, for tests that kill it."""
        return self._process.pid

    def close(self) -> None:
        """End it; harmless a second time."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def _wait_until_it_answers(self) -> None:
        end = time.monotonic() + _START_LIMIT_S
        while True:
            if self._process.poll() is not None:
                said = self._process.stderr.read() if self._process.stderr else b""
                raise self._refused(said.decode(errors="replace").strip()[-300:] or "it ended")
            try:
                self.node.chain_id()
            except (NodeAway, NodeRefused) as error:
                if time.monotonic() > end:
                    raise self._refused(error) from error
                time.sleep(0.01)
            else:
                return

    def _refused(self, why: object) -> EnvironmentRefused:
        fix = "It needs Linux x86_64 with glibc 2.35 or newer, and a free port."
        return EnvironmentRefused("anvil", "must start on the loopback", why, fix)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
