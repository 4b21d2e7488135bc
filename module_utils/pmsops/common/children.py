# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs that a module starts: they end with it, also where it is killed and cannot tell them."""

from __future__ import annotations

import ctypes
import signal

PR_SET_PDEATHSIG = 1
# Loaded beforehand: between fork and exec of a process with threads, nothing is to be loaded.
_LIBC = ctypes.CDLL(None)


def end_with_parent() -> None:
    """Ask the kernel to end this process when its parent dies: a ``preexec_fn`` of subprocess.

    The parent is the thread that starts the program, so that one has to wait for its end.
    Source: prctl(2), PR_SET_PDEATHSIG
    """
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
