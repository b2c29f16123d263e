"""The rules of the domain layer, specified by examples, properties and an independent oracle."""
