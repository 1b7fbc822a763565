"""Build the native operations: `python -m jaxdl.native`."""

import sys

from jaxdl.native.loader import main

if __name__ == '__main__':
    sys.exit(main())
