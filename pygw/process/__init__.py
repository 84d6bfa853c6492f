"""The master and its processes: listeners, signals, replacement of the dead."""
