"""``pier manifest``: lists of images for several platforms, made here and kept in a registry."""
