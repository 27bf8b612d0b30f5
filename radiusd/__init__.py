"""The daemon: softswitches speak RADIUS to it, and it asks the billing core."""
