"""Tests of `treasury-cli`."""
