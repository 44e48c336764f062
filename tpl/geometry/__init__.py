"""Functions and points: signed distances of simple bodies, surfaces out of functions, correspondence."""
