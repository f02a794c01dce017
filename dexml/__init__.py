"""dexml: machine learning that trades on a DEX, and honest evidence of whether it works."""

__version__ = "0.1.0"
