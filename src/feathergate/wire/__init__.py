"""Shapes on the wire: the structs of each dialect, server-sent events, and the codecs that read and write them."""
