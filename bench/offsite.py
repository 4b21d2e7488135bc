# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a copy on another site costs, against ``restic backup`` of the same folder by hand."""

from __future__ import annotations

import importlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.backup import our_backup
from bench.common import PROJECT, Figure, start_lab, stop_lab

SCALE, PAIRS = 10, 5
KNOWN_SECONDS = 600  # as the role: the backup asked at its start
# A day as the PMS has it: 1 % more rows in each hypertable, after the newest ones.
DAY = """
DO $$
DECLARE h record; columns text; chosen text; earliest text; latest text;
BEGIN
  FOR h IN SELECT hypertable_schema s, hypertable_name t, column_name at, column_type::text kind
             FROM timescaledb_information.dimensions WHERE dimension_number = 1 LOOP
    SELECT string_agg(quote_ident(column_name), ',' ORDER BY ordinal_position),
           string_agg(CASE WHEN column_name <> h.at THEN quote_ident(column_name)
             WHEN h.kind = 'date' THEN format('%I + ($2::date - $1::date + 1)', column_name)
             ELSE format('%I + ($2::timestamptz - $1::timestamptz + interval ''1 day'')',
                         column_name) END, ',' ORDER BY ordinal_position)
      INTO columns, chosen FROM information_schema.columns
     WHERE table_schema = h.s AND table_name = h.t AND column_name <> 'id'
       AND is_generated = 'NEVER';
    EXECUTE format('SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY %I)::text,'
                   ' max(%I)::text FROM %I.%I', h.at, h.at, h.s, h.t) INTO earliest, latest;
    CONTINUE WHEN latest IS NULL;
    EXECUTE format('INSERT INTO %I.%I (%s) SELECT %s FROM %I.%I WHERE %I >= %L',
                   h.s, h.t, columns, chosen, h.s, h.t, h.at, earliest)
      USING earliest, latest;
  END LOOP;
END $$
"""


def spent(work: Callable[[], Any]) -> float:
    """Return the seconds of a processor that *work* took, with those of its programs."""
    before = _used()
    work()
    return _used() - before


def _used() -> float:
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in found)


class Place:
    """A repository in a folder. All are copies of one: the cost of its key is measured once."""

    def __init__(self, folder: Path, program: Path, sets: Path, keys: Path) -> None:
        self.folder, self.program, self.sets, self.keys = folder, program, sets, keys
        self.password = folder / "password"
        self.password.touch(mode=0o600)
        self.password.write_text("password of the measurements")
        self.repository, self._empty = folder / "repository", folder / "empty"
        self.by_hand("init", repository=self._empty)

    def by_hand(self, *arguments: str, repository: Path | None = None) -> None:
        """Run restic as somebody would by hand."""
        environment = os.environ | {
            "RESTIC_REPOSITORY": str(repository or self.repository),
            "RESTIC_PASSWORD_FILE": str(self.password),
            "RESTIC_CACHE_DIR": str(self.folder / "cache"),
        }
        subprocess.run([self.program, "--quiet", *arguments], env=environment, check=True, cwd="/")

    def empty(self) -> None:
        """Begin anew: no copy, no cache, nothing known."""
        for path in (self.repository, self.folder / "cache", self.sets / ".pms-ops"):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self._empty, self.repository)

    def sites(self) -> Any:
        """Return the acts on it."""
        from ansible.module_utils.pmsops.offsite.contents import Places
        from ansible.module_utils.pmsops.offsite.run import Settings, Sites
        from ansible.module_utils.pmsops.offsite.site import Site

        site = Site("vault", str(self.repository), self.password)
        places = Places(self.sets, self.folder / "evidence", self.keys)
        return Sites(Settings("fund", (site,), places, program=str(self.program)), check=False)


def upload(sites: Any) -> dict[str, Any]:
    """Copy the newest set, its manifest read back, as a backup does."""
    (found,) = sites.upload(None, KNOWN_SECONDS)
    if not found["ok"]:
        sys.exit(found["why"])
    facts: dict[str, Any] = found
    return facts


def figures(scale: int = SCALE) -> list[Figure]:
    """Measure pairs in turn, then a second day."""
    if str(PROJECT) not in sys.path:
        sys.path.insert(0, str(PROJECT))
    real_sites = importlib.import_module("tests.support.sites")
    database = start_lab(scale, alone=True)
    options = {name: getattr(database, name) for name in database.__dataclass_fields__}
    with tempfile.TemporaryDirectory(prefix="pms-bench-") as temporary:
        folder = Path(temporary)
        our_backup(options, temporary)
        program = real_sites.restic(folder)
        place = Place(folder, program, folder / "sets", folder / "keys")
        newest = str(next(place.sites().settings.places.root.glob("20*")))
        hand, ours, looks = [], [], []
        for number in range(PAIRS):
            for by_hand in (True, False) if number % 2 else (False, True):
                place.empty()
                if by_hand:
                    hand.append(spent(partial(place.by_hand, "backup", newest)))
                else:
                    sites = place.sites()
                    looks.append(spent(sites.copies))
                    ours.append(spent(partial(upload, sites)))
        place.empty()
        first = upload(place.sites())["new_bytes"]
        with database.session(superuser=True) as cursor:
            cursor.execute(DAY)
        our_backup(options, temporary)
        second = upload(place.sites())["new_bytes"]
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    stop_lab()
    ratio = statistics.median(mine / other for mine, other in zip(ours, hand, strict=True))
    fixed = statistics.median(mine - other for mine, other in zip(ours, hand, strict=True))
    note = f"of the processor; the look of a run {statistics.median(looks):.2f} s more"
    return [
        Figure("offsite: an upload against restic backup by hand", ratio, 1.1, "x", note=note),
        Figure("offsite: an upload, more than restic backup by hand", fixed, 0.6, "s"),
        Figure("offsite: a day of 1 % more rows, of the first copy", second / first * 100, 3, "%"),
        Figure("offsite: resident memory of restic", peak, 384, "MB"),
    ]
