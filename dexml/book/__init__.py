"""The book of a run as people read it: how it went, close by close, and what it stands to lose."""
