"""The version of the packages, of what is measured with them, and of their documentation."""

__version__ = "0.6.0"
