"""Code of users' own, by name: what an installed package registers, or what tuneship.toml names (docs/extensions.md).

Nothing here imports an extension until it is asked for by name, and no recipe and no bundle can name a module.
"""
