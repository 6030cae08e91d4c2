"""Servers that come inside Python packages and run as our children."""
