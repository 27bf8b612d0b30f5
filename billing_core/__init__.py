"""What a call costs and who pays for it; knows no RADIUS."""
