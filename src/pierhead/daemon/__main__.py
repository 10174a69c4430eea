"""``python -m pierhead.daemon`` is ``pierd``."""

from pierhead.daemon.main import main

if __name__ == "__main__":
    main()
