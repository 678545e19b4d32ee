"""What `python -m scheduler.bench` measures, on one core and in a process of its own for each case."""
