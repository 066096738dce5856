"""The view of blocks and flows and the parts that all views are made from."""
