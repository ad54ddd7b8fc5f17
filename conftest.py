"""Loads what the whole suite needs before its first test."""

pytest_plugins = ["tests.parts"]
