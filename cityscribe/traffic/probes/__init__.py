"""Probes that know traffic."""
