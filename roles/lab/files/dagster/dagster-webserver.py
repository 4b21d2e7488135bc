# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run Dagster's web server beside its code server."""

import gc

import code_server

# A run imports this file again.
if __name__ == "__main__":
    code_server.start("webserver")
    gc.disable()
    from dagster_webserver.cli import main

    gc.enable()
    gc.freeze()
    main()
