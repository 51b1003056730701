"""The connection core: the only rooms that know aiortc and aioice."""
