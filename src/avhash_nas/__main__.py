"""`avnas` and `python -m avhash_nas`."""

import sys

from avhash_nas.cli import main

if __name__ == "__main__":
    sys.exit(main())
