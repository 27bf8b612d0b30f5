"""Rate tables: imported as versions, rolled back and looked up."""
