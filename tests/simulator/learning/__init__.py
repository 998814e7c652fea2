"""Tests of simulator/learning."""
