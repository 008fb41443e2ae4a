"""Layouts of other tools that are read and never written: pictures that are masked one by one."""
