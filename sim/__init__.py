"""The whole loop in one thread: the real controller, services and database code on a fake clock, with fake hosts,
under faults drawn from one seed. `make sim SEEDS=1000`, `python -m sim --seed N --trace`."""
