"""Tests of control_plane/registry."""
