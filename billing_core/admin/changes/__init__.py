"""Changes of definitions: checked, shown, written, audited, and taken back."""
