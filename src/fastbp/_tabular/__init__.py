"""Estimators for tables with numeric and categorical columns: RealMLP and TabM."""
