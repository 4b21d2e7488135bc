# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stand-in for the PMS: its routes and rules, in the way its documents promise.

One book, kept in memory, written through to the database at every action, and a journal of them.
With PMS_MODE=faithful it behaves as the real one does: a book of its own for each module, filled
once from the database, and nothing ever written.
"""
