"""`berth`: Berth from the command line, on top of the REST API alone."""

__version__ = "0.1.0"
