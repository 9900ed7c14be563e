"""Do the stated bounds hold on simulated machines? `simulation.py` says what is simulated, and what the table means.

    python bench/statistics.py [--trials 10000] [--seed 0]

It exits with 1 where something asked is missed.
"""

from __future__ import annotations

import sys
import sysconfig
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

if __name__ == "__main__":
    from simulation import main

    sys.exit(main())

# The folder of a script comes first on its path: whoever imports `statistics` from a script of this folder finds this
# file, and means the standard library's module.
spec = PathFinder.find_spec("statistics", [sysconfig.get_path("stdlib")])
module = sys.modules[__name__] = module_from_spec(spec)
spec.loader.exec_module(module)
