"""The paper's tables from nothing, beside the paper's figures, and its claims."""
