"""A market year with faults, from one seed, in one process, judged after every fault."""

from dexml.simulation.faults.kinds import Fault
from dexml.simulation.faults.oracle import Oracle, Violation
from dexml.simulation.faults.owners import Owners, Post
from dexml.simulation.faults.year import Report, live_year

__all__ = ["Fault", "Oracle", "Owners", "Post", "Report", "Violation", "live_year"]
