"""Kilocam turns a fleet of RTSP cameras into answers. The map of rooms is in docs/design/."""

__version__ = "0.1.0"
