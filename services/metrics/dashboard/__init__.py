"""The dashboard: a program's numbers as a page, rendered on the server, without script."""
