from __future__ import annotations

import os
import platform

from benchmarks.machine import available_cores, this_machine


def test_the_machine_is_named_as_the_system_names_it() -> None:
    machine = this_machine()
    assert machine.cpu
    assert machine.cores == len(available_cores()) <= (os.cpu_count() or 1)
    assert machine.python.endswith(platform.python_version())
    assert machine.memory_mib > 256
