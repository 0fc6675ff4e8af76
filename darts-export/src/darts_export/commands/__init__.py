"""The commands about whole data sets."""
