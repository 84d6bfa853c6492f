"""The control plane's configuration: config.yaml, the store and its back ends."""
