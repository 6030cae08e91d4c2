"""Hypothesis without deadlines: machines are shared, and no test asserts on time."""

from hypothesis import HealthCheck, settings

settings.register_profile("kilocam", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kilocam")
