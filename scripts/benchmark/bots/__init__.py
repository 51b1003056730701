"""Echo servers of the others; each is started as a script of its own."""
