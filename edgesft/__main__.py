"""`python -m edgesft` is the `edgesft` command."""

import sys

from edgesft.cli.main import main

sys.exit(main())
