"""`python -m host_sim` is `host-sim`."""

import sys

from host_sim.cli import main

sys.exit(main())
