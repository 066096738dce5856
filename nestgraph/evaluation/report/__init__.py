"""Results of evaluations as text, and as one page of HTML."""

from nestgraph.evaluation.report.page import write_page
from nestgraph.evaluation.report.summary import Mean, Row, Summary, summaries
from nestgraph.evaluation.report.table import text_of

__all__ = ["Mean", "Row", "Summary", "summaries", "text_of", "write_page"]
