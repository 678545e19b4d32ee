"""The same scheduler on traces and synthetic workloads. Only here may libraries for plots and linear programs
be imported, and only where they are used; nothing outside imports this package."""
