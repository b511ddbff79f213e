"""What carries a request to a provider and the answer back. Start with `contract.py`."""
