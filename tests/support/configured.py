"""Settings as attach() would have them."""

import os

from whence.settings.config import Settings, keyword_layer, resolve


def settings(**config: object) -> Settings:
    """From these keywords, then the environment as it is now."""
    return resolve(keyword_layer({"service": "tests", **config}), environ=os.environ)
