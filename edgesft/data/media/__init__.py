"""Pictures and sounds: finding the file of a row, and preprocessing it the same way in training and on the device.

`image` and `audio` also run on devices: they are files of their own, which import nothing of edgesft.
"""
