"""The study: paper_claims."""
