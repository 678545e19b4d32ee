"""Pure decisions: what must change, where a container goes, and why. No I/O, no clock, no Django."""
