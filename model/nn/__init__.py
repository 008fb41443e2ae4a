"""Building blocks of networks that several engines share."""
