"""The words of the field as frozen values that cannot be wrong.

Bars are stamped with their *close*; ccxt gives the open, so adapters convert at the border. Money
that moves is `Decimal`, statistics are `float`; fractions are never percent; times are UTC.
"""

from dexml.domain.bars import (
    PRICE_COLUMNS,
    Bar,
    Bars,
    Floats,
    Times,
    price_fault,
    sound_rows,
    unchecked,
)
from dexml.domain.history import (
    MACRO_COLUMNS,
    NEWS_COLUMNS,
    REFUSED_COLUMNS,
    SOCIAL,
    History,
    empty_macro,
    empty_news,
    empty_refused,
)
from dexml.domain.memory import same_place
from dexml.domain.orders import Fill, Forecast, Intent, Signal
from dexml.domain.words import (
    Action,
    Mode,
    Reason,
    Side,
    Target,
    Timeframe,
    check_instrument,
    to_datetime,
    to_datetime64,
)

__all__ = [
    "MACRO_COLUMNS",
    "NEWS_COLUMNS",
    "PRICE_COLUMNS",
    "REFUSED_COLUMNS",
    "SOCIAL",
    "Action",
    "Bar",
    "Bars",
    "Fill",
    "Floats",
    "Forecast",
    "History",
    "Intent",
    "Mode",
    "Reason",
    "Side",
    "Signal",
    "Target",
    "Timeframe",
    "Times",
    "check_instrument",
    "empty_macro",
    "empty_news",
    "empty_refused",
    "price_fault",
    "same_place",
    "sound_rows",
    "to_datetime",
    "to_datetime64",
    "unchecked",
]
