"""Questions asked of the product: each a folder with what measures, what draws, and the result."""
