"""A game day on recorded logs: one thing goes wrong, is mended, and the rules say what they noticed.

Samples of a replay become the input of `promtool test rules`, whose answers are firings; those are compared with the
firings of the clean replay. No process is started here, and nothing is read but the templates of the page.
"""

from ml_exporter.drilling.alerts import SERIES as ALERTS
from ml_exporter.drilling.alerts import Alert, Span, alerts_of
from ml_exporter.drilling.answers import Answer, Answers, read
from ml_exporter.drilling.charts import Level, Reads
from ml_exporter.drilling.context import context_of
from ml_exporter.drilling.muting import Inhibitions
from ml_exporter.drilling.report import unnoticed
from ml_exporter.drilling.schedule import Lengths, Schedule, planned
from ml_exporter.drilling.suite import Question, RuleFiles, Suite, looks_back_us, names_read
from ml_exporter.drilling.verdicts import Drilled, Seen, Watch, pending_in, seen_in, verdict_of

LIMITS = "ml:threshold:effective"
"""The limits that alerts compare with, by signal."""

__all__ = [
    "ALERTS",
    "LIMITS",
    "Alert",
    "Answer",
    "Answers",
    "Drilled",
    "Inhibitions",
    "Lengths",
    "Level",
    "Question",
    "Reads",
    "RuleFiles",
    "Schedule",
    "Seen",
    "Span",
    "Suite",
    "Watch",
    "alerts_of",
    "context_of",
    "looks_back_us",
    "names_read",
    "pending_in",
    "planned",
    "read",
    "seen_in",
    "unnoticed",
    "verdict_of",
]
