"""Building blocks that several networks share, in two and three spatial dimensions."""
