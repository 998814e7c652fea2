"""Tests of consent_core/privacy."""
