"""What the product logs while it is struck, kept for its judge."""

from __future__ import annotations

import logging

__all__ = ["Log"]


class Log(logging.Handler):
    """Keeps every line that the product would write; nothing else hears of it."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines
        self._loggers = [logging.getLogger(name) for name in ("actors", "dexml")]

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))

    def __enter__(self) -> Log:
        for logger in self._loggers:
            logger.addHandler(self)
            logger.propagate = False
        return self

    def __exit__(self, *_: object) -> None:
        for logger in self._loggers:
            logger.removeHandler(self)
            logger.propagate = True
