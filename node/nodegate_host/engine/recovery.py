"""The first thing a changing verb does: finish what a crash left half done, by undoing it.

A journal whose generation already holds is only cleared; any other is undone. Nothing is done when there is none.
"""

from __future__ import annotations

from nodegate_host.engine import interrupts, journal
from nodegate_host.engine.sites import Site
from nodegate_host.errors import Stop
from nodegate_host.exits import Exit


def recover(site: Site) -> str:
    """Undo an interrupted change; return what was done, or nothing. Stops with 5 when it cannot be undone."""
    entry = journal.read(site.disk)
    if entry is None:
        return ""
    generations = site.generations
    if generations.state().generation == entry.generation:
        journal.clear(site.disk)
        return f"generation {entry.generation} was already complete; its journal is cleared"
    if entry.generation not in generations.numbers():
        journal.clear(site.disk)
        return f"generation {entry.generation} left nothing behind; its journal is cleared"
    with interrupts.unheard():
        undone = site.undo.run(generations.load(entry.generation), entry)
    if undone.problems:
        raise Stop(f"an interrupted {entry.operation} could not be undone:\n  {undone.text}", Exit.ROLLBACK_INCOMPLETE)
    done = f"an interrupted {entry.operation} (generation {entry.generation}) was undone"
    return f"{done}, but:\n  {undone.text}" if undone.left else done
