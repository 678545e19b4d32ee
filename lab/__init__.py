"""Real engines, Redis and PostgreSQL on one machine: what `make lab`, `make run` and the tests start."""
