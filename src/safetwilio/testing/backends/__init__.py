"""The conformance suite of backends: what the chain, the boot and ``safetwilio init`` rely on.

Make a test class of it and say how to make and break the place; pytest runs the rules::

    from safetwilio.testing.backends import BackendContract, Breakage

    class TestMine(BackendContract):
        def reference(self): return "mine://secret"
        def put(self, document): ...
        ...

``docs/backends/index.md`` tells what each hook has to do.
"""

from __future__ import annotations

from safetwilio.testing.backends.hooks import Breakage, Pair
from safetwilio.testing.backends.reading import ReadingRules
from safetwilio.testing.backends.writing import WritingRules

__all__ = ["BackendContract", "Breakage", "Pair"]


class BackendContract(ReadingRules, WritingRules):
    """Every rule for a backend; a subclass called ``Test…`` gives the hooks of :class:`Hooks`."""
