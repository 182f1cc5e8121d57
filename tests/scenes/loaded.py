"""What the process that servers of the scenes are forked from has read: their code, and the grammar of programs."""

from cgpl.diagnostics import SourceText
from cgpl.parser import parse
from server import command, compose

__all__ = ["command", "compose"]

parse(SourceText("nothing", "entry Main is stop; end;"))
