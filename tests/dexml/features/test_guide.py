from __future__ import annotations

import re
from pathlib import Path

from dexml.features.indicators import INDICATORS

GUIDE = Path(__file__).parents[3] / "docs" / "indicators.md"


def test_every_example_of_the_guide_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    before = set(INDICATORS)
    try:
        exec("\n".join(blocks), {"__name__": "guide"})
    finally:
        for name in set(INDICATORS) - before:
            del INDICATORS[name]
    assert len(blocks) == 5
