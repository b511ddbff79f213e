"""Pure translators between wire formats: bytes and structs in, bytes and events out. Start with `contract.py`."""
