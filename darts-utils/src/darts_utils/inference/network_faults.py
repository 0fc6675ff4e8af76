"""What networks of others raise; imports no torch."""

NETWORK_FAULTS = (
    *(RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError),
    ImportError,
)
"""What architectures and networks raise about arguments, or an input, that they were not made for."""
