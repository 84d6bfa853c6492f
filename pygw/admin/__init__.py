"""The Admin API: resources over HTTP into the store, checked by the plugins' own schemas."""
