"""HTTP/1.1 over asyncio, both sides. Start with `contract.py`."""
