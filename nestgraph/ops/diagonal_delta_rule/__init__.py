"""Linear memories with rates, retentions or erase keys by channel, chunk by chunk."""
