"""Where all of it is kept: appended once, folded, read as of any instant."""
