"""Files that others recorded: understood, or refused with the reason."""
