"""Appendix A: what each disagreement between paper and code comes to."""
