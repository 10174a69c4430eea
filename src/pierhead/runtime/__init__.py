"""crun and conmon: what runs a container and what watches it while we may be away."""
