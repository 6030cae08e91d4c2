"""Commands, the wiring of each role, the supervisor, embedded engines."""
