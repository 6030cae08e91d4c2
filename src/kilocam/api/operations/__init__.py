"""The catalogue's entries, one module per subject; each turns a call into one of a room below."""
