"""``python -IS .../pierhead/cli/__main__.py``: as little as can be, since it is never cached."""

import sys

if __package__ in (None, ""):
    sys.path.insert(0, __file__.rpartition("/pierhead/")[0])

from pierhead.cli.main import main

if __name__ == "__main__":
    main()
