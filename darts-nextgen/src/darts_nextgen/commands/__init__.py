"""The commands of this package: one module each, cheap to import; the work is imported in the function's body."""
