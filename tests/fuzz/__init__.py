"""Fuzzing what strangers write: `targets` are run by hypothesis (briefly) and by atheris (long)."""
