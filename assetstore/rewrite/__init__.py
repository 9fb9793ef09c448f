"""Files whose references are rewritten to fingerprinted URLs."""
