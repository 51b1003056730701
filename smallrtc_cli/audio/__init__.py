"""Sound as numbers: formats, signals, their analysis, files; no event loop in here."""
