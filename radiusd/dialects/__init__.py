"""How each family of softswitch writes a call in RADIUS attributes."""
