"""Small recorded files, made up, for tests of the import."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dexml.data.recorded.importing import ImportOptions, files_under, import_files
from dexml.data.recorded.imports import FileReport
from dexml.data.storage.store import Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def bar_table(n_rows: int = 300, step: str = "1h", seed: int = 0) -> pd.DataFrame:
    """Return bars stamped with their opening in the column `timestamp`."""
    generator = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(0.01 * generator.standard_normal(n_rows)))
    opened = np.concatenate([[100.0], close[:-1]])
    return pd.DataFrame(
        {
            "timestamp": pd.date_range("2024-01-01", periods=n_rows, freq=step, tz="UTC"),
            "open": opened,
            "high": np.maximum(opened, close) * 1.001,
            "low": np.minimum(opened, close) * 0.999,
            "close": close,
            "volume": generator.gamma(2.0, 10.0, n_rows),
        }
    )


def write(frame: pd.DataFrame, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


def imported(paths: Path | list[Path], home: Path, **options: Any) -> tuple[FileReport, ...]:
    """Import into the store at `home`."""
    given = [paths] if isinstance(paths, Path) else paths
    names = options.pop("instruments", ("BTC/USDT", "LINK/USDT"))
    return import_files(
        files_under(given), Store(home), ImportOptions(now=NOW, instruments=names, **options)
    )


def only(paths: Path | list[Path], home: Path, **options: Any) -> FileReport:
    """Import one file."""
    (report,) = imported(paths, home, **options)
    return report
