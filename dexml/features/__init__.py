"""What models see: indicators, context, the panel they form, and the audit for leaks."""
