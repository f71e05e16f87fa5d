"""Latency, memory and parity, measured."""
