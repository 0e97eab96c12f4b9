"""Settings of every test."""

from hypothesis import settings

# No test asserts a time: a machine under load must not fail one.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
