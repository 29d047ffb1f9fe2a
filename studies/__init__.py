"""Questions asked of the product: each a folder with what measures, what draws, the result and a page about it."""
