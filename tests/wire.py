"""A wire to a server that can be cut, and that can lose one question or one answer."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from math import inf
from typing import Literal

Loss = Literal["question", "answer"]
_COMMIT = b"COMMIT"


class Wire:
    """A TCP proxy on loopback.

    `lose` cuts the wire at the first COMMIT after bytes that hold a mark: before the server hears
    it, or after it has answered and before the client hears that.
    """

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._is_closed = False
        self._n_refused: float = 0
        self._mark: bytes | None = None
        self._loss: Loss | None = None
        self._swallows = False
        self._frozen = threading.Event()
        self.n_lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, n_refused: float = inf) -> None:
        """Drop all connections, and refuse so many new ones."""
        with self._lock:
            self._n_refused = n_refused
        self._drop()

    def mend(self) -> None:
        with self._lock:
            self._n_refused = 0
        self._frozen.clear()
        self._drop()

    def freeze(self) -> None:
        """Take what is sent and carry nothing, as a server that is stopped."""
        self._frozen.set()

    def lose(self, loss: Loss, mark: bytes) -> None:
        with self._lock:
            self._loss, self._mark = loss, mark

    def close(self) -> None:
        self._is_closed = True
        self.cut()
        self._listener.close()

    def _drop(self) -> None:
        with self._lock:
            gone, self._open = self._open, []
        for one in gone:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._n_refused > 0:
                self._n_refused -= 1
                client.close()
            else:
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        server = socket.create_connection(self._to)
        with self._lock:
            self._open += [client, server]
        for source, sink, asks in ((client, server, True), (server, client, False)):
            threading.Thread(target=self._carry, args=(source, sink, asks), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, asks: bool) -> None:
        marked = False
        with suppress(OSError):
            while data := source.recv(65_536):
                while self._frozen.is_set():
                    time.sleep(0.01)
                marked = marked or (asks and self._mark is not None and self._mark in data)
                if marked and _COMMIT in data and self._loss == "question":
                    break
                if marked and _COMMIT in data and self._loss == "answer":
                    self._swallows = True
                    sink.sendall(data)
                    return
                if not asks and self._swallows:
                    break
                sink.sendall(data)
            else:
                return
            self._lost()

    def _lost(self) -> None:
        self.n_lost += 1
        self._loss = self._mark = None
        self._swallows = False
        self._drop()
