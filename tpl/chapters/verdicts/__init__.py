"""Does it reproduce: the paper's claims, and what this run says to each."""

from tpl.chapters.verdicts.claims import APART, CLAIMS, Claim, judge, title_s_claim, verdict_table
from tpl.chapters.verdicts.views import told_apart

__all__ = ["APART", "CLAIMS", "Claim", "judge", "title_s_claim", "told_apart", "verdict_table"]
