"""Markets, exchanges and faults that live on this machine."""
