# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Serve the lab's code, and run its jobs, in copies of a process that has imported Dagster.

Dagster starts a Python for its code server and another one for each run, and each imports Dagster
again: 1.5 s of a processor, which is most of what such a process does. A copy (fork) costs
nothing. It is made before this process has a thread, since a copy has only the one that made it.
"""

import gc
import multiprocessing
import os
import socket
import threading
import time
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace

# Found by workspace.yaml. Each container has a /tmp of its own, but the tags of a run name the
# socket: that of another container must not look like one's own.
SOCKET_VARIABLE = "LAB_CODE_SOCKET"


def start(service: str) -> None:
    """Import Dagster and start the code server; this process ends with it."""
    gc.disable()  # none of what an import makes is garbage, and to look for it takes a tenth
    import definitions  # noqa: F401 - with what it imports
    from dagster._cli import api
    from dagster._grpc import server

    gc.enable()
    gc.freeze()
    address, for_runs = (f"/tmp/{name}-{service}.sock" for name in ("code", "runs"))  # noqa: S108
    for each in (address, for_runs):
        Path(each).unlink(missing_ok=True)  # of the process before, which was killed
    os.environ[SOCKET_VARIABLE] = address
    pid = os.fork()
    if not pid:
        copy_for_runs(server, for_runs)
        options = (
            f"--socket {address} --location-name macro_trading --lazy-load-user-code"
            f" --python-file definitions.py --working-directory {Path.cwd()}"
            " --inject-env-vars-from-instance --log-level warning"
        )
        api.grpc_command(options.split())
    threading.Thread(target=end_with, args=[pid], daemon=True).start()
    while not Path(address).exists():  # the daemon asks at once, and logs a page if nobody answers
        time.sleep(0.05)


def copy_for_runs(server: object, address: str) -> None:
    """Let the code server start each run as a copy, by the fork server of Python.

    That one would be a Python of its own, which imports Dagster. Here it is a copy, too.
    """
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    its_end, our_end = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(our_end)
        forkserver.main(listener.fileno(), its_end, [])
    listener.close()
    os.close(its_end)
    own = forkserver._forkserver
    own._forkserver_address = address
    own._forkserver_alive_fd = our_end
    own._forkserver_pid = pid
    context = multiprocessing.get_context("forkserver")
    server.multiprocessing = SimpleNamespace(get_context=lambda _method: context)


def end_with(pid: int) -> None:
    """End this process when that one has ended, so that Docker starts both again."""
    os.waitpid(pid, 0)
    os._exit(1)
