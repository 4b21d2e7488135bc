# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The facts that are printed expressions.

PostgreSQL keeps an expression as a tree and prints it on demand. The tree that a dump and a restore
make can print otherwise with the same meaning, so these attributes are never compared by text
alone.
"""

from __future__ import annotations

# Kind, attribute: the attributes that hold SQL printed from a tree. An attribute that is null holds
# no expression. "body" of a function is its whole CREATE statement; it is null for a function whose
# text the server keeps as written.
EXPRESSIONS: dict[str, tuple[str, ...]] = {
    "constraints": ("definition",),
    "columns": ("default",),
    "indexes": ("definition",),
    "triggers": ("definition",),
    "rules": ("definition",),
    "policies": ("using", "check"),
    "views": ("definition",),
    "functions": ("body",),
    "types": ("default",),
    "statistics_objects": ("definition",),
    "tables": ("partition_key", "partition_bound"),
    "publication_tables": ("filter",),
    # Of ICU: since PostgreSQL 16 the server writes a language tag in its shortest form.
    "collations": ("locale",),
}
