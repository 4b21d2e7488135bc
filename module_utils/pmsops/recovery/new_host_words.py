# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moments and losses of a new machine in words: what the plan, the desk and the journal read.

When a machine was lost is not known here, and what was committed on it after the copy cannot be
counted: no text says a number of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.common.timestamps import moment as time_of
from ansible.module_utils.pmsops.offsite.copies import SET, Copy, of_sets

PLACE = "São Paulo"
NOT_COUNTED = "how much that was cannot be counted"


def both_zones(at: datetime) -> str:
    """Return a moment in UTC and in the fund's zone, with the day there if it is another one."""
    here, there = at.astimezone(UTC), at.astimezone(BUSINESS_ZONE)
    day = "%T" if there.date() == here.date() else "%F %T"
    return f"{here:%F %T} UTC ({there:{day}} in {PLACE})"


def with_age(at: datetime, now: datetime) -> str:
    """Return a moment in both zones, and how long ago it was."""
    here, there = at.astimezone(UTC), at.astimezone(BUSINESS_ZONE)
    day = "%T" if there.date() == here.date() else "%F %T"
    return f"{here:%F %T} UTC, {there:{day}} in {PLACE}, {length(at, now)} ago"


def length(since: datetime, until: datetime) -> str:
    """Return how long it is between two moments: minutes, of more than two days also days."""
    seconds = max(int((until - since).total_seconds()), 0)
    if seconds < 120:
        return f"{seconds} seconds"
    minutes = seconds // 60
    if minutes < 120:
        return f"{minutes} minutes"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days {hours % 24} h"


def lost(until: datetime, last: Copy, now: datetime) -> str:
    """Return what was committed after *until* and is lost, and how long that was at most.

    *last* is the newest copy that the lost machine made: it lived then.
    """
    text = (
        f"what was committed after {with_age(until, now)}: at most the {length(until, now)} until"
        f" now, less if the machine was lost before; {NOT_COUNTED}"
    )
    if last.at > until:
        text += (
            f". It lived at {both_zones(last.at)}, when it last wrote to the site: at least the"
            f" {length(until, last.at)} until then were open to commits"
        )
    return text


def newer(there: Mapping[str, Sequence[Copy]], copy: Copy) -> dict[str, list[Copy]]:
    """Return the first copy of each set at each site that is newer than that of *copy*."""
    found: dict[str, list[Copy]] = {}
    for site, copies in there.items():
        by_set = {
            each.set: each
            for each in reversed(of_sets(copies, copy.database))
            if each.kind == SET and time_of(each.taken_at) > time_of(copy.taken_at)
        }
        if by_set:
            found[site] = sorted(by_set.values(), key=lambda each: each.taken_at)
    return found


def newer_line(site: str, copies: Sequence[Copy], now: datetime) -> str:
    """Return that a site has newer sets, which are not taken."""
    sets = ", ".join(
        f"{each.set} of {with_age(time_of(each.taken_at), now)}"
        f" ({'proved' if each.proved else 'not proved'})"
        for each in copies
    )
    return f"what newer sets of site {site} have, unless you take one (-e host_set=ID): {sets}"


def entry(known: Mapping[str, Any], machine: str) -> dict[str, str]:
    """Return what incident and decision journal say of the loss: *known* is the note of the run.

    ``{mark, title, cause, data_loss, text}``
    """
    of_moment = known.get("moment_at")
    until = both_zones(time_of(of_moment or known["taken_at"]))
    source = (
        f"base backups and WAL at site {known['site']}"
        if of_moment
        else f"set {known['set']} of site {known['site']}"
    )
    title = "The machine was lost and replaced"
    cause = f"the machine was lost; a new one began with an empty server, from {source}"
    loss = f"what was committed after {until} is not there; {NOT_COUNTED}"
    return {
        "mark": f"machine {machine[:12]} took over from {known['snapshot'][:12]}",
        "title": title,
        "cause": cause,
        "data_loss": loss,
        "text": f"{title}. This database is of {until}, from {source}: {loss}.",
    }
