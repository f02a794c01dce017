"""What a browser or a program reads: JSON views, the HTTP application and its one page."""
