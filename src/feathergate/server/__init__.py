"""The endpoints, one file each, behind one table. Start with `app.py`."""
