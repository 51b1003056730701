"""HTTP in both directions: the only room that knows aiohttp."""
