"""One HTML page that plays motions, with all that it needs inside."""

from lead.export.player.page import write_player

__all__ = ["write_player"]
