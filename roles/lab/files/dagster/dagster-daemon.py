# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run Dagster's daemon at the pace of a lab, for which Dagster has no settings.

An idle daemon costs 5 % of a core otherwise, and PostgreSQL half of that again: each minute it
starts a new process that loads the code, and every five seconds it looks for sensors. The lab's
code does not change while it runs, and has no sensors.
"""

import code_server

# A run imports this file again.
if __name__ == "__main__":
    code_server.start("daemon")
    from dagster._daemon import controller, sensor
    from dagster._daemon.cli import main

    controller.RELOAD_WORKSPACE_INTERVAL = 900
    sensor.MIN_INTERVAL_LOOP_TIME = 30
    main()
