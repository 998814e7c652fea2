"""Tests of control_plane/federated."""
