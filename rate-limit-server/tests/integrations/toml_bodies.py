"""Lets schemathesis send documents of the rules: text of a type that it does not know."""

import schemathesis

schemathesis.serializer.alias("application/toml", "text/plain")
