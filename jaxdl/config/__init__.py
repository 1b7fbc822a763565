"""Configuration: experiment records, overrides, recipes, loading of experiments and configurations.

May import train, augment, models, data and everything below. Interface: `experiment`, `recipe`,
`load`, `catalogue`, `registry`.
"""
