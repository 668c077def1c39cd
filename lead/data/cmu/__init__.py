"""The CMU Graphics Lab motion capture database: its trials, and what people wrote about them."""
