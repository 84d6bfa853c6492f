"""What benchmarks/python_plugin.py measures, and how: the gateway, its plugins, the runner."""
