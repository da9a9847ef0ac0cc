"""What ``hyperband demo`` trains: a small convolutional network on real images that come without a download.

Nothing here is special to the demo command: ``digits.py`` is what a user of this package would write.
"""
