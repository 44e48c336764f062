"""Chapter 7: tables, rivals, protocols."""
