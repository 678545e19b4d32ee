"""Measurements: each prints JSON lines. Times are compared within one run, since machines differ."""
