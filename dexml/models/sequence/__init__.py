"""The CNN-LSTM: a network over the last 64 bars of one instrument, as a member like any other."""
