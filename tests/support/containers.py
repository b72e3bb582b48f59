"""What `docker compose up` starts, and the files that its containers read."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
COMPOSE = ROOT / "docker-compose.yml"
DEPLOY = ROOT / "deploy"

Node = dict[str, Any]


def services() -> Node:
    """The containers by name."""
    found: Node = read(COMPOSE)["services"]
    return found


def read(file: Path) -> Node:
    """A file of YAML."""
    content: Node = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content
