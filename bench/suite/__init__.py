"""The benchmarks that asv finds: one module for each question, `common` for what they share."""
