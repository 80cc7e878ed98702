"""Hypothesis as a mutation run needs it: the same examples for every mutant, none made smaller.

Becomes tests/conftest.py of the folder mutmut works in: see run.py.
"""

from hypothesis import Phase, settings

settings.register_profile(
    "mutation", phases=(Phase.explicit, Phase.generate), derandomize=True, database=None
)
