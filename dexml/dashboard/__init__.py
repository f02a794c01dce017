"""The page: HTML, style and script served at `/`."""
