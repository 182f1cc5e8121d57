"""CG/PL: the language that the server's applications are written in.

An island: it imports only `base.values`. Programs are compiled to Python generator functions and stepped by a host.
"""

from cgpl.builtins import roster
from cgpl.builtins.core import core_builtins
from cgpl.builtins.table import NOT_SUPPORTED, Builtin, BuiltinTable
from cgpl.compiler import ProgramCache, compile_program
from cgpl.diagnostics import CompileError, Diagnostic, ProgramError, ProgramFault, Severity, TraceEntry
from cgpl.runtime import External, Finished, Host, HostCall, Limits, Loader, Outcome, Program, Slice, Task

__all__ = [
    "NOT_SUPPORTED",
    "Builtin",
    "BuiltinTable",
    "CompileError",
    "Diagnostic",
    "External",
    "Finished",
    "Host",
    "HostCall",
    "Limits",
    "Loader",
    "Outcome",
    "Program",
    "ProgramCache",
    "ProgramError",
    "ProgramFault",
    "Severity",
    "Slice",
    "Task",
    "TraceEntry",
    "compile_program",
    "core_builtins",
    "roster",
]
