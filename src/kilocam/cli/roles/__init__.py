"""The wiring of each role: which room is handed to which, and nothing else."""
