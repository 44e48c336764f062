"""Appendix B: ShapeNet in miniature."""
